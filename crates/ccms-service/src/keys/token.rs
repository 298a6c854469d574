//! Device tokens: JWT, HS256 and nothing else, seven days. The header names the key of the ring; everything in it that we
//! do not write ourselves makes the token foreign. Verifying touches memory, except that a key nobody has heard of makes
//! the ring's file be looked at, a few times a second at most.
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ccms_core::ids::DeviceId;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ring::{FIRST_KID, OVERLAP_S, Ring};
use super::seen::SeenToken;
use super::{FactoryKey, KeyError, Keys, MasterKey};
use crate::metrics::Stopwatch;

const AUDIENCE: &str = "ccms-device";
/// Sets device tokens apart from anything else that might ever be signed here.
const TYPE: &str = "device";
const HEADER_TYPE: &str = "JWT";
/// Far above any token of ours; keeps a megabyte of header from being decoded.
const TOKEN_BYTES_MAX: usize = 1_024;
/// Distance between looks at the file because of keys that nobody has heard of: anybody can name one.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// What a device token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The device id: the only identity a request has.
    pub sub: String,
    pub aud: String,
    /// Always [`TYPE`]; tokens from before there was a ring have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// The device's credential epoch when this was issued.
    pub ep: u32,
    /// Grows with every token of a device: milliseconds since 1970, or more.
    #[serde(rename = "gen", default)]
    pub generation: i64,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
    /// We never set it; respected when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
}

/// What of a token decides how it stands with its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    pub epoch: u32,
    pub generation: i64,
    pub at_s: i64,
    pub expires_at_s: i64,
}

impl From<&TokenClaims> for Issued {
    fn from(claims: &TokenClaims) -> Self {
        Self { epoch: claims.ep, generation: claims.generation, at_s: claims.iat, expires_at_s: claims.exp }
    }
}

/// All that a header of ours has. Names that come twice, and any other name, are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OurHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(default, borrow)]
    kid: Option<&'a str>,
}

/// Signs and verifies device tokens, and derives what devices sign with.
#[derive(Debug)]
pub struct TokenKeys {
    master: MasterKey,
    factory: Option<FactoryKey>,
    ring: RwLock<Numbered>,
    file: Option<RingFile>,
    /// A replaced key of the ring verifies for this long.
    overlap_s: i64,
    validation: Validation,
}

/// A ring and how many there were before it.
#[derive(Debug, Clone)]
struct Numbered(u32, Arc<Ring>);

#[derive(Debug)]
struct RingFile {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// What tells one content of the file from the next; it is replaced whole, never written into.
    version: Option<(u64, i64, i64)>,
    looked: Stopwatch,
}

impl TokenKeys {
    /// Keys that follow from the master key alone.
    pub fn new(master: &MasterKey) -> Self {
        Self::with(Keys::from(master), OVERLAP_S, Ring::derived(master, UtcMillis(0)))
    }

    /// # Errors
    /// [`KeyError`] when the ring's file cannot be read or made.
    pub fn open(keys: Keys, overlap_s: i64, now: UtcMillis) -> Result<Self, KeyError> {
        let ring = match &keys.ring_file {
            Some(path) => Ring::load_or_create(path, &keys.master, now)?,
            None => Ring::derived(&keys.master, UtcMillis(0)),
        };
        Ok(Self::with(keys, overlap_s, ring))
    }

    fn with(keys: Keys, overlap_s: i64, ring: Ring) -> Self {
        // Both crates that sign need a process-wide provider; a second call changes nothing.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["sub", "aud", "exp"]);
        // Times are judged here and by the caller, with our clock and the contract's rule for stale tokens.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let file = keys.ring_file.map(|path| {
            // No version yet: what was read above is read once more, so that a change in between is not missed.
            RingFile { path, seen: Mutex::new(Seen { version: None, looked: Stopwatch::start() }) }
        });
        Self {
            master: keys.master,
            factory: keys.factory,
            ring: RwLock::new(Numbered(0, Arc::new(ring))),
            file,
            overlap_s,
            validation,
        }
    }

    pub fn device_secret(&self, device: &DeviceId, epoch: u32) -> String {
        self.master.device_secret(device, epoch)
    }

    pub fn factory(&self) -> Option<&FactoryKey> {
        self.factory.as_ref()
    }

    /// A token for `device`, and when it ends.
    pub fn issue(&self, device: &DeviceId, epoch: u32, generation: i64, now: UtcMillis) -> (String, UtcMillis) {
        let exp = now.seconds() + limits::TOKEN_LIFE_S;
        let claims = TokenClaims {
            sub: device.as_str().to_owned(),
            aud: AUDIENCE.into(),
            typ: Some(TYPE.into()),
            ep: epoch,
            generation,
            iat: now.seconds(),
            exp,
            nbf: None,
        };
        let ring = self.ring();
        let key = ring.newest();
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::HS256) };
        #[expect(clippy::expect_used, reason = "claims of strings and integers always serialise, HS256 takes any key")]
        let token = jsonwebtoken::encode(&header, &claims, &key.encoding).expect("HS256 signs");
        (token, UtcMillis::from_seconds(exp))
    }

    /// The claims of a token with a good signature, whatever its age. `elapsed_ms` is the time since an instant in which a
    /// server was there.
    pub fn verify(&self, token: &str, now: UtcMillis, elapsed_ms: impl Fn(UtcMillis) -> i64) -> Option<TokenClaims> {
        self.look_at(token, now, elapsed_ms).map(|(claims, _)| claims)
    }

    /// What is known of a token by [`Self::digest`], when it is the one that was seen and the keys are still the same.
    pub fn recognise(&self, digest: &[u8; 32], seen: Option<&SeenToken>) -> Option<Issued> {
        let ring_no = self.ring.read().unwrap_or_else(|e| e.into_inner()).0;
        seen.filter(|seen| seen.is(digest, ring_no)).map(SeenToken::issued)
    }

    pub fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }

    /// As [`Self::verify`], and what to keep of the token so that it is recognised, if that may be kept.
    pub fn look_at(
        &self,
        token: &str,
        now: UtcMillis,
        elapsed_ms: impl Fn(UtcMillis) -> i64,
    ) -> Option<(TokenClaims, Option<SeenToken>)> {
        let head = token.split('.').next().filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
        let head = BASE64_URL_SAFE_NO_PAD.decode(head).ok()?;
        let header: OurHeader<'_> =
            serde_json::from_slice(&head).ok().filter(|_| head.trim_ascii_start().starts_with(b"{"))?;
        if header.alg != "HS256" || header.typ != HEADER_TYPE {
            return None;
        }
        let kid = header.kid.unwrap_or(FIRST_KID);
        let Numbered(mut ring_no, mut ring) = self.numbered();
        if !ring.knows(kid) && self.look_again() {
            Numbered(ring_no, ring) = self.numbered();
        }
        let key = ring.verifying(self.overlap_s, elapsed_ms).find(|key| key.kid == kid)?;
        let mut claims = jsonwebtoken::decode::<TokenClaims>(token, &key.decoding, &self.validation).ok()?.claims;
        match header.kid {
            Some(_) if claims.typ.as_deref() != Some(TYPE) => return None,
            None if claims.typ.is_some() => return None,
            // A token from before generations: it is as old as its second.
            None => claims.generation = claims.iat.saturating_mul(1000).saturating_add(999),
            Some(_) => {}
        }
        if claims.nbf.is_some_and(|nbf| nbf > now.seconds()) {
            return None;
        }
        let lasts = claims.nbf.is_none() && key.kid == ring.newest().kid;
        let seen = lasts.then(|| SeenToken::new(Self::digest(token), ring_no, Issued::from(&claims))).flatten();
        Some((claims, seen))
    }

    fn ring(&self) -> Arc<Ring> {
        self.numbered().1
    }

    fn numbered(&self) -> Numbered {
        self.ring.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Looks at the file because of an unknown key, unless somebody just did. True when the ring changed.
    fn look_again(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let seen = &mut *file.seen.lock().unwrap_or_else(|e| e.into_inner());
        if seen.looked.elapsed() < LOOKS_EVERY {
            return false;
        }
        self.read(file, seen)
    }

    /// Takes up what `ccms keys rotate` did. True when the ring changed.
    pub fn reload(&self) -> bool {
        let Some(file) = &self.file else { return false };
        self.read(file, &mut file.seen.lock().unwrap_or_else(|e| e.into_inner()))
    }

    fn read(&self, file: &RingFile, seen: &mut Seen) -> bool {
        seen.looked = Stopwatch::start();
        // Its status comes first: a change after that is seen the next time.
        let version = match std::fs::metadata(&file.path) {
            Ok(found) => Some((found.ino(), found.ctime(), found.ctime_nsec())),
            Err(error) => {
                tracing::error!(%error, "the key ring cannot be found; the keys read before go on");
                return false;
            }
        };
        if version == seen.version {
            return false;
        }
        match Ring::load(&file.path) {
            Ok(Some(ring)) => {
                seen.version = version;
                let held = self.ring();
                let changed = !ring.is_same(&held);
                if changed {
                    tracing::info!(kid = ring.newest().kid, "the key ring changed; this key signs now");
                    let held = &mut *self.ring.write().unwrap_or_else(|e| e.into_inner());
                    *held = Numbered(held.0.wrapping_add(1), Arc::new(ring));
                }
                changed
            }
            Ok(None) => false,
            Err(error) => {
                // Said once per version of the file; reading may succeed another time when it was the disk that failed.
                if !matches!(error, KeyError::Io { .. }) {
                    seen.version = version;
                }
                tracing::error!(%error, "the key ring cannot be read; the keys read before go on");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    fn device() -> DeviceId {
        DeviceId::parse("IMEI:351234567890123").unwrap()
    }

    fn verify(keys: &TokenKeys, token: &str) -> Option<TokenClaims> {
        keys.verify(token, NOW, |from| NOW.since(from))
    }

    #[test]
    fn a_token_comes_back_and_no_other_does() {
        let keys = TokenKeys::new(&MasterKey([7; 32]));
        let (token, ends) = keys.issue(&device(), 3, 17, NOW);
        let claims = verify(&keys, &token).unwrap();
        assert_eq!((claims.sub.as_str(), claims.ep, claims.generation), (device().as_str(), 3, 17));
        assert_eq!(ends.seconds(), NOW.seconds() + 604_800);

        let foreign = TokenKeys::new(&MasterKey([8; 32])).issue(&device(), 3, 17, NOW).0;
        let mut cut = token.clone();
        cut.pop();
        for bad in ["", "a.b.c", &foreign, &cut, &"x".repeat(1 << 20)] {
            assert!(verify(&keys, bad).is_none());
        }
    }

    #[test]
    fn a_token_from_before_the_ring_stays_good() {
        let master = MasterKey([7; 32]);
        let key = jsonwebtoken::EncodingKey::from_secret(&master.derive("ccms device token v1"));
        let claims =
            serde_json::json!({"sub": "X", "aud": AUDIENCE, "ep": 0, "iat": 1_765_967_000, "exp": 1_766_571_800});
        let keys = TokenKeys::new(&master);
        let sign = |header: &Header, claims: &serde_json::Value| jsonwebtoken::encode(header, claims, &key).unwrap();
        let old = sign(&Header::new(Algorithm::HS256), &claims);
        assert_eq!(verify(&keys, &old).unwrap().generation, 1_765_967_000_999);
        let named = Header { kid: Some("1".into()), ..Header::new(Algorithm::HS256) };
        assert!(verify(&keys, &sign(&named, &claims)).is_none(), "with a key's name it has to say what it is");
    }

    #[test]
    fn a_rotation_is_noticed_at_once_and_old_tokens_stay_good() {
        let dir = tempfile::tempdir().unwrap();
        let (path, master) = (dir.path().join("token-keys"), MasterKey([7; 32]));
        let keys = Keys { ring_file: Some(path.clone()), ..Keys::from(&master) };
        let (one, other) =
            (TokenKeys::open(keys.clone(), OVERLAP_S, NOW).unwrap(), TokenKeys::open(keys, OVERLAP_S, NOW).unwrap());
        let old = one.issue(&device(), 0, 1, NOW).0;
        assert!(!one.reload() && !one.reload());
        Ring::rotate(&path, &master, OVERLAP_S, NOW).unwrap();
        assert!(one.reload() && !one.reload());
        let new = one.issue(&device(), 0, 2, NOW).0;
        assert_ne!(old.split('.').next(), new.split('.').next());
        // The other has not looked yet; the unknown key makes it, as soon as it may.
        while verify(&other, &new).is_none() {
            std::thread::yield_now();
        }
        for keys in [&one, &other] {
            assert!(verify(keys, &old).is_some() && verify(keys, &new).is_some());
        }
        // What was kept of a token is void with the ring it was seen under, also when the key is still good.
        let (_, seen) = one.look_at(&new, NOW, |from| NOW.since(from)).unwrap();
        let digest = TokenKeys::digest(&new);
        assert_eq!(one.recognise(&digest, seen.as_ref()).unwrap().generation, 2);
        assert!(one.recognise(&TokenKeys::digest(&old), seen.as_ref()).is_none());
        assert!(one.look_at(&old, NOW, |from| NOW.since(from)).unwrap().1.is_none(), "its key ends one day");
        Ring::rotate(&path, &master, OVERLAP_S, NOW).unwrap();
        assert!(one.reload() && one.recognise(&digest, seen.as_ref()).is_none() && verify(&one, &new).is_some());
        // A ring that cannot be read changes nothing.
        std::fs::write(&path, "broken").unwrap();
        assert!(!one.reload() && verify(&one, &new).is_some() && verify(&one, &old).is_some());
    }
}
