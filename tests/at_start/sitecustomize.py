"""What Python does as it starts a process that finds this file: notes what a test run's part asks of Polar."""

from tests.polar_requests import note_requests

note_requests()
