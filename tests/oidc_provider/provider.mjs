// A certified OpenID provider for the tests, on a loopback port; anybody can sign in there, with any password.
//
// What it is: argument 1, as JSON {port, clientId, clientSecret, redirectUri, postLogoutRedirectUri}.
// Besides the provider itself it answers POST /_control {rotate: true}, {tamper: "…" | null} and {hold: true | false}.
import { createServer } from 'node:http';
import { createHmac } from 'node:crypto';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${given.port}`;
const name = (suffix) => `_${given.port}_${suffix}`; // Cookies ignore ports: two providers must not share any.

let tamper = null;
let hold = false;
let keys = null;
let handle = null;

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const signed = (claims) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: keys.kid }).sign(keys.privateKey);

// What a wrong or hostile provider would send instead of `claims`.
const forgeries = {
  nonce: (claims) => signed({ ...claims, nonce: 'of another sign-in' }),
  audience: (claims) => signed({ ...claims, aud: 'another-client' }),
  party: (claims) => signed({ ...claims, aud: [claims.aud, 'another-client'], azp: 'another-client' }),
  issuer: (claims) => signed({ ...claims, iss: 'https://id.example.com' }),
  expired: (claims) => signed({ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 }),
  none: (claims) => `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`,
  // The public key is no secret: whoever takes it for one believes everybody.
  HS256: async (claims) => {
    const content = `${part({ alg: 'HS256', kid: keys.kid })}.${part(claims)}`;
    const secret = await exportSPKI(keys.publicKey);
    return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
  },
  altered: async (claims) => {
    const [header, , signature] = (await signed(claims)).split('.');
    return [header, part({ ...claims, sub: 'somebody else' }), signature].join('.');
  },
};

async function start() {
  const pair = await generateKeyPair('RS256', { extractable: true });
  const kid = `key-${Date.now()}`;
  keys = { ...pair, kid };
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(pair.privateKey)), kid, use: 'sig', alg: 'RS256' }] },
    clients: [
      {
        client_id: given.clientId,
        client_secret: given.clientSecret,
        redirect_uris: [given.redirectUri],
        post_logout_redirect_uris: [given.postLogoutRedirectUri],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    cookies: {
      keys: ['for tests only'],
      names: { session: name('session'), interaction: name('interaction'), resume: name('resume') },
    },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: `${id} of ${given.port}`,
        // Two providers give different subjects, and may well give the same address.
        email: `${id.replace(/^(unverified|other)-/, '')}@example.com`,
        email_verified: !id.startsWith('unverified-'),
      }),
    }),
  });
  provider.use(async (ctx, next) => {
    await next();
    if (tamper && ctx.oidc?.route === 'token' && ctx.body?.id_token) {
      const claims = JSON.parse(Buffer.from(ctx.body.id_token.split('.')[1], 'base64url'));
      ctx.body = { ...ctx.body, id_token: await forgeries[tamper](claims) };
    }
    const onward = ctx.response.get('Location');
    if (hold && onward?.startsWith(given.redirectUri)) {
      // The way back is a link: a test looks at it before anybody follows it.
      ctx.remove('Location');
      ctx.status = 200;
      ctx.type = 'html';
      ctx.body = `<title>Held</title><a href="${onward.replaceAll('&', '&amp;')}">Go back</a>`;
    }
  });
  handle = provider.callback();
}

async function control(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const wish = JSON.parse(body);
  if ('tamper' in wish) tamper = wish.tamper;
  if ('hold' in wish) hold = wish.hold;
  if (wish.rotate) await start();
  response.writeHead(204).end();
}

await start();
createServer((request, response) =>
  request.url === '/_control' ? control(request, response) : handle(request, response),
).listen(given.port, '127.0.0.1');
// It never outlives whoever started it.
process.stdin.resume().on('end', () => process.exit());
