//! Tokens and keys: the examples of the standards, and tokens that we sign ourselves.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{jwt::Jwt, keys::Keys};

/// RFC 7515, appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2m\
    JPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHS\
    XndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7a\
    GhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l\
    eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZ\
    mh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75\
    vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noO\
    PqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515, appendix A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l\
    eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8IS\
    lSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515, appendix A.4; what is signed is no JSON.
const ES512: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYa\
    RI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU\
    8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
/// RFC 8037, appendix A.4.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PP\
    Ot7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/// When the tokens of these tests are sent, in seconds.
const NOW: i64 = 2_000_000_000;
const ISSUER: &str = "https://id.example.org/";
const AUDIENCE: &str = "https://api.example.org/";

fn keys(keys: &[Value]) -> Keys {
    Keys::parse(&json!({"keys": keys})).expect("a list of keys")
}

fn standard_keys() -> [Value; 4] {
    [
        json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        json!({"kty": "EC", "crv": "P-521",
            "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
    ]
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether a key has made the signature of a token, whatever it says.
fn is_signed(token: &str, algorithm: &str, keys: &Keys) -> bool {
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("a signature");
    keys.verify(None, algorithm, message.as_bytes(), &signature)
}

#[test]
fn the_examples_of_the_standards_are_signed() {
    let all = keys(&standard_keys());
    for (n, (token, algorithm)) in
        [(RS256, "RS256"), (ES256, "ES256"), (ES512, "ES512"), (EDDSA, "EdDSA")].iter().enumerate()
    {
        assert!(is_signed(token, algorithm, &all), "{algorithm}");
        for (other, key) in standard_keys().into_iter().enumerate() {
            assert_eq!(is_signed(token, algorithm, &keys(&[key])), n == other, "{algorithm}");
        }
        for other in ["none", "HS256", "RS384", "PS256", "ES384", "es256", ""] {
            assert!(!is_signed(token, other, &all), "{algorithm} as {other}");
        }
    }
    for token in [RS256, ES256] {
        assert!(Jwt::parse(token).expect("a token").is_signed(&all));
    }
}

#[test]
fn no_byte_can_be_changed() {
    let all = keys(&standard_keys());
    for token in [RS256, ES256] {
        for at in (0..token.len()).step_by(7) {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("still ASCII");
            let good = Jwt::parse(&changed).is_some_and(|jwt| jwt.is_signed(&all));
            assert!(!good, "{at} {changed}");
        }
    }
}

/// A key that signs, with its algorithm.
enum Signer {
    Rsa(Box<RsaKeyPair>, &'static str, &'static dyn RsaEncoding),
    Elliptic(EcdsaKeyPair, &'static str, &'static str),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self::Elliptic(pair, "ES256", "P-256")
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_, name, _) | Self::Elliptic(_, name, _) => name,
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn jwk(&self, id: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(pair, ..) => {
                // In DER, a number of 2048 bits has a zero in front, as some write it in JSON too.
                let der = pair.public_key().as_ref();
                let (n, e) = (&der[8..265], &der[267..]);
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Self::Elliptic(pair, _, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        };
        jwk["kid"] = id.into();
        jwk
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = [header, claims].map(|part| encode(part.to_string())).join(".");
        let (bytes, random) = (message.as_bytes(), SystemRandom::new());
        let signature = match self {
            Self::Rsa(pair, _, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, bytes, &mut signature).expect("signed");
                signature
            }
            Self::Elliptic(pair, ..) => {
                pair.sign(&random, bytes).expect("signed").as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }
}

fn signers() -> Vec<Signer> {
    let rsa = |name, encoding| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Signer::Rsa(Box::new(pair), name, encoding)
    };
    let elliptic = |algorithm, name, curve| {
        Signer::Elliptic(EcdsaKeyPair::generate(algorithm).expect("a key"), name, curve)
    };
    vec![
        rsa("RS256", &signature::RSA_PKCS1_SHA256),
        rsa("RS384", &signature::RSA_PKCS1_SHA384),
        rsa("RS512", &signature::RSA_PKCS1_SHA512),
        rsa("PS256", &signature::RSA_PSS_SHA256),
        rsa("PS384", &signature::RSA_PSS_SHA384),
        rsa("PS512", &signature::RSA_PSS_SHA512),
        Signer::p256(),
        elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", "P-384"),
        elliptic(&ECDSA_P521_SHA512_FIXED_SIGNING, "ES512", "P-521"),
        Signer::Ed25519(Ed25519KeyPair::generate().expect("a key")),
    ]
}

#[test]
fn every_algorithm_is_known_and_tied_to_its_key() {
    let signers = signers();
    let all: Vec<_> = signers.iter().map(|signer| signer.jwk(signer.algorithm())).collect();
    for (signer, jwk) in signers.iter().zip(&all) {
        let algorithm = signer.algorithm();
        let header = json!({"alg": algorithm, "kid": algorithm});
        let token = signer.sign(&header, &json!({"sub": "me"}));
        let jwt = Jwt::parse(&token).expect("a token");
        assert!(jwt.is_signed(&keys(&all)), "{algorithm}");
        for (name, value) in [("kid", "other"), ("alg", "RS1"), ("use", "enc"), ("kty", "oct")] {
            let mut other = jwk.clone();
            other[name] = value.into();
            assert!(!jwt.is_signed(&keys(&[other])), "{algorithm} {name}");
        }
        let mut named = jwk.clone();
        named["alg"] = algorithm.into();
        named["use"] = "sig".into();
        assert!(jwt.is_signed(&keys(&[named])), "{algorithm}");
    }
}

#[test]
fn a_public_key_is_no_secret_and_no_signature_is_none() {
    let signer = Signer::p256();
    let jwk = signer.jwk("a");
    let mut secret = jwk.clone();
    secret["kty"] = "oct".into();
    secret["k"] = jwk["x"].clone();
    let keys = keys(&[jwk.clone(), secret]);
    let header = |algorithm: &str| encode(json!({"alg": algorithm, "kid": "a"}).to_string());
    let claims = encode("{}");
    let unsigned = format!("{}.{claims}.", header("none"));
    assert!(!Jwt::parse(&unsigned).expect("a token").is_signed(&keys));
    let message = format!("{}.{claims}", header("HS256"));
    let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().expect("a text")).expect("bytes");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &x), message.as_bytes());
    let forged = format!("{message}.{}", encode(tag));
    assert!(!Jwt::parse(&forged).expect("a token").is_signed(&keys));
}

#[test]
fn small_rsa_keys_and_strange_keys_are_not_used() {
    let signer = Signer::p256();
    let token = signer.sign(&json!({"alg": "ES256"}), &json!({}));
    let strange = [
        json!(1),
        json!({}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "?", "y": 1}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
        json!({"kty": "RSA", "n": "", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    ];
    let jwt = Jwt::parse(&token).expect("a token");
    assert!(!jwt.is_signed(&keys(&strange)));
    assert!(jwt.is_signed(&keys(&[&strange[..], &[signer.jwk("a")]].concat())));
    for document in [json!([]), json!({"keys": {}}), json!(null)] {
        assert!(Keys::parse(&document).is_none());
    }
}

/// What is wrong with a token with these changes to its header and its claims.
fn problem(header: &Value, claims: &Value) -> Option<&'static str> {
    let mut whole = [
        json!({"alg": "ES256"}),
        json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60, "sub": "me"}),
    ];
    for (part, changes) in whole.iter_mut().zip([header, claims]) {
        for (name, value) in changes.as_object().expect("changes") {
            part[name] = value.clone();
        }
    }
    let [header, claims] = whole.map(|part| encode(part.to_string()));
    let token = format!("{header}.{claims}.");
    Jwt::parse(&token).expect("a token").problem(ISSUER, AUDIENCE, NOW)
}

#[test]
fn good_claims_have_no_problem() {
    let none = json!({});
    for claims in [
        none.clone(),
        json!({"aud": ["other", AUDIENCE]}),
        // Clocks may differ a little.
        json!({"exp": NOW - 29, "nbf": NOW + 29}),
        json!({"exp": 1e300, "nbf": -1.5}),
    ] {
        assert_eq!(problem(&none, &claims), None, "{claims}");
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert_eq!(problem(&json!({"typ": kind}), &none), None, "{kind}");
    }
}

#[test]
fn bad_claims_are_told() {
    let none = json!({});
    for (claims, expected) in [
        (json!({"iss": "https://id.example.org"}), "issuer"),
        (json!({"iss": null}), "issuer"),
        (json!({"aud": "https://api.example.org"}), "audience"),
        (json!({"aud": [["https://api.example.org/"], 1, null]}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": null}), "not expire"),
        (json!({"exp": "2000000060"}), "not expire"),
        (json!({"nbf": NOW + 31}), "not valid yet"),
        (json!({"nbf": "soon"}), "not valid yet"),
    ] {
        let found = problem(&none, &claims).expect("a problem");
        assert!(found.contains(expected), "{claims}: {found}");
    }
    for (header, expected) in [
        (json!({"crit": ["exp"]}), "extensions"),
        (json!({"typ": "logout+jwt"}), "purpose"),
        (json!({"typ": 1}), "purpose"),
    ] {
        let found = problem(&header, &none).expect("a problem");
        assert!(found.contains(expected), "{header}: {found}");
    }
}

#[test]
fn other_tokens_are_not_taken_for_signed_ones() {
    let part = encode("{}");
    for token in [
        String::new(),
        "opaque".into(),
        "..".into(),
        format!("{part}.{part}"),
        format!("{part}.{part}.{part}.{part}.{part}"),
        format!("{part}.{}.", encode("[]")),
        format!("{part}.{}.", encode("{\"a\":")),
        format!("{part}.{part}.?"),
        format!("{part}=.{part}."),
    ] {
        assert!(Jwt::parse(&token).is_none(), "{token}");
    }
}

#[test]
fn scopes_are_words_in_either_spelling() {
    let grants = |claims: Value| {
        let token = format!("{}.{}.", encode("{}"), encode(claims.to_string()));
        Jwt::parse(&token).expect("a token").grants("openid")
    };
    assert!(grants(json!({"scope": "email openid"})));
    assert!(grants(json!({"scp": ["openid"]})));
    assert!(!grants(json!({"scope": "openid2 email"})));
    assert!(!grants(json!({"scope": null, "scp": 1})));
    assert!(!grants(json!({})));
}
