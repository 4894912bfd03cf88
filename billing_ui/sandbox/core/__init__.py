"""What every imitated provider needs: documents on disk, ids, faults and the control API."""
