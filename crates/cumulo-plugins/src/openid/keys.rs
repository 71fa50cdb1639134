//! The public keys of a provider (RFC 7517) and what they have signed (RFC 7518, RFC 8037).
//!
//! Each algorithm is tied to one kind of key, so that no key is used in another way than it is
//! meant. There is no `none`, and no `HS256`: its key would be a secret, and these are public.

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// More keys than these are not looked at.
const MAX_KEYS: usize = 100;

/// The keys in a provider's document.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

/// One of them.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The name of the curve, and the point without compression.
    Elliptic {
        curve: &'static str,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

/// How something is signed.
enum Scheme {
    Rsa(&'static RsaParameters),
    Elliptic(&'static str, &'static EcdsaVerificationAlgorithm),
    Ed25519,
}

/// The algorithm of this name in the header of a token.
fn scheme(algorithm: &str) -> Option<Scheme> {
    Some(match algorithm {
        "RS256" => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        "ES256" => Scheme::Elliptic("P-256", &signature::ECDSA_P256_SHA256_FIXED),
        "ES384" => Scheme::Elliptic("P-384", &signature::ECDSA_P384_SHA384_FIXED),
        "ES512" => Scheme::Elliptic("P-521", &signature::ECDSA_P521_SHA512_FIXED),
        "EdDSA" | "Ed25519" => Scheme::Ed25519,
        _ => return None,
    })
}

impl Keys {
    /// Reads a document; keys that nobody could use here are left out. None if it is none.
    pub(super) fn parse(document: &Value) -> Option<Self> {
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MAX_KEYS).filter_map(Key::parse).collect()))
    }

    /// Whether one of them is called so.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether one of them has made this signature: the one called `id`, if the token names one.
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let is_meant = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(is_meant).any(|key| key.verify(algorithm, message, signature))
    }
}

impl Key {
    fn parse(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                Material::Rsa { n: without_zeros(bytes("n")?), e: without_zeros(bytes("e")?) }
            }
            ("EC", Some(curve)) => {
                let (curve, length) = match curve {
                    "P-256" => ("P-256", 32),
                    "P-384" => ("P-384", 48),
                    "P-521" => ("P-521", 66),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                let is_whole = x.len() == length && y.len() == length;
                is_whole.then(|| Material::Elliptic { curve, point: [vec![4], x, y].concat() })?
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        let owned = |name: &str| text(name).map(str::to_owned);
        Some(Self { id: owned("kid"), algorithm: owned("alg"), material })
    }

    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|only| only != algorithm) {
            return false;
        }
        match (&self.material, scheme(algorithm)) {
            (Material::Rsa { n, e }, Some(Scheme::Rsa(parameters))) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Material::Elliptic { curve, point }, Some(Scheme::Elliptic(wanted, verification))) => {
                *curve == wanted
                    && UnparsedPublicKey::new(verification, point)
                        .verify(message, signature)
                        .is_ok()
            }
            (Material::Ed25519(key), Some(Scheme::Ed25519)) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Some write numbers with zeros in front, against RFC 7518.
fn without_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}
