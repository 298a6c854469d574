//! The ring of keys that sign device tokens: `DATA_DIR/token-keys`, one line per key, `kid hex created_at_ms`, oldest
//! first. The newest signs. A key that was replaced goes on verifying until the last token that it signed is over, so a
//! rotation costs no device anything. The first key is derived from the master key; tokens without a `kid` are its own.
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use ccms_core::limits;
use ccms_core::time::UtcMillis;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::{KeyError, MasterKey, hex, hex_32, open_lock, open_private, read_private};

/// A replaced key verifies for this long at least: the life of a token, and the time in which one brings a device back.
pub const OVERLAP_S: i64 = overlap_s(limits::SILENCE_LIMIT_S);
/// Tokens from before there was a ring have no `kid`; the first key is theirs.
pub(super) const FIRST_KID: &str = "1";
/// Keys in one ring; a rotation every day keeps 38.
const KEYS_MAX: usize = 256;
const KID_CHARS_MAX: usize = 16;
const WANTED: &str = "a line `kid hex created_at_ms` for each key, oldest first";

/// How long a replaced key verifies in a city whose devices may be silent for `silence_s`.
pub const fn overlap_s(silence_s: i64) -> i64 {
    let silence_s = if silence_s > limits::SILENCE_LIMIT_S { silence_s } else { limits::SILENCE_LIMIT_S };
    limits::TOKEN_LIFE_S.saturating_add(silence_s)
}

/// One key of the ring.
#[derive(Clone)]
pub struct RingKey {
    pub kid: String,
    pub created_at: UtcMillis,
    secret: [u8; 32],
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({})", self.kid)
    }
}

/// Never empty; oldest first.
#[derive(Debug, Clone)]
pub struct Ring {
    keys: Vec<RingKey>,
}

impl RingKey {
    fn new(kid: String, secret: [u8; 32], created_at: UtcMillis) -> Self {
        let (encoding, decoding) = (EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret));
        Self { kid, created_at, secret, encoding, decoding }
    }
}

impl Ring {
    /// A ring of the one key that follows from the master key.
    pub fn derived(master: &MasterKey, created_at: UtcMillis) -> Self {
        Self { keys: vec![RingKey::new(FIRST_KID.into(), master.derive("ccms device token v1"), created_at)] }
    }

    /// Reads the file, or makes it when there is none.
    pub fn load_or_create(path: &Path, master: &MasterKey, now: UtcMillis) -> Result<Self, KeyError> {
        if let Some(ring) = Self::load(path)? {
            return Ok(ring);
        }
        let _alone = lock(path)?;
        match Self::load(path)? {
            Some(ring) => Ok(ring),
            None => {
                let ring = Self::derived(master, now);
                ring.save(path)?;
                Ok(ring)
            }
        }
    }

    /// `None` when there is no file.
    pub fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        let Some(text) = read_private(path)? else { return Ok(None) };
        Self::parse(&text)
            .map(Some)
            .ok_or_else(|| KeyError::Malformed { path: path.display().to_string(), wanted: WANTED })
    }

    /// Adds a key that signs from now on and drops those whose time is over. Works beside a running server, which looks at
    /// the file again and again.
    pub fn rotate(path: &Path, master: &MasterKey, overlap_s: i64, now: UtcMillis) -> Result<Self, KeyError> {
        Self::begin_rotation(path, master, overlap_s, now, |from| now.since(from))?.finish()
    }

    /// Decides a rotation without doing it yet, so that it can be recorded first. Two at once wait for each other.
    /// `elapsed_ms` as for [`Ring::verifying`]: what a running server still takes must not be dropped.
    pub fn begin_rotation(
        path: &Path,
        master: &MasterKey,
        overlap_s: i64,
        now: UtcMillis,
        elapsed_ms: impl Fn(UtcMillis) -> i64,
    ) -> Result<Rotation, KeyError> {
        let alone = lock(path)?;
        let mut ring = Self::load(path)?.unwrap_or_else(|| Self::derived(master, now));
        ring.add(MasterKey::random().0, now);
        ring.keys = ring.verifying(overlap_s, elapsed_ms).cloned().collect();
        if ring.keys.len() > KEYS_MAX {
            return Err(KeyError::Full { path: path.display().to_string(), max: KEYS_MAX });
        }
        Ok(Rotation { path: path.to_owned(), ring, _alone: alone })
    }

    fn add(&mut self, secret: [u8; 32], now: UtcMillis) {
        let highest = self.keys.iter().filter_map(|k| k.kid.parse::<u32>().ok()).max().unwrap_or(0);
        // A clock that was set back must not make the new key the older one.
        let after_all = self.keys.last().map_or(now, |k| now.max(k.created_at));
        self.keys.push(RingKey::new((highest + 1).to_string(), secret, after_all));
    }

    /// The key that signs.
    pub fn newest(&self) -> &RingKey {
        self.keys.last().unwrap_or_else(|| unreachable!("a ring has a key"))
    }

    /// The keys that tokens may be signed with. `elapsed_ms` tells how long ago a key was replaced, without the times when
    /// no server was there to refresh anybody's token.
    pub fn verifying(&self, overlap_s: i64, elapsed_ms: impl Fn(UtcMillis) -> i64) -> impl Iterator<Item = &RingKey> {
        let most_ms = overlap_s.saturating_mul(1000);
        let serves = move |replaced: Option<UtcMillis>| replaced.is_none_or(|at| elapsed_ms(at) <= most_ms);
        self.keys().filter(move |(_, replaced)| serves(*replaced)).map(|(key, _)| key)
    }

    /// Every key, oldest first, and when it was replaced.
    pub fn keys(&self) -> impl Iterator<Item = (&RingKey, Option<UtcMillis>)> {
        self.keys.iter().zip(self.keys.iter().skip(1).map(|next| Some(next.created_at)).chain([None]))
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|k| k.kid == kid)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same =
            |(a, b): (&RingKey, &RingKey)| a.kid == b.kid && a.secret == b.secret && a.created_at == b.created_at;
        self.keys.len() == other.keys.len() && self.keys.iter().zip(&other.keys).all(same)
    }

    fn parse(text: &str) -> Option<Self> {
        let keys: Vec<RingKey> =
            text.lines().filter(|l| !l.trim().is_empty()).map(parse_line).collect::<Option<_>>()?;
        let in_order = keys.windows(2).all(|pair| pair[0].created_at <= pair[1].created_at);
        let distinct = keys.iter().enumerate().all(|(i, k)| keys[..i].iter().all(|other| other.kid != k.kid));
        let fits = (1..=KEYS_MAX).contains(&keys.len());
        (in_order && distinct && fits).then_some(Self { keys })
    }

    /// Whole or not at all: written beside the file, then put in its place.
    fn save(&self, path: &Path) -> Result<(), KeyError> {
        let io = |source| KeyError::Io { path: path.display().to_string(), source };
        let text: String =
            self.keys.iter().map(|k| format!("{} {} {}\n", k.kid, hex(&k.secret), k.created_at.0)).collect();
        let fresh = beside(path, "new");
        // One that a power cut left behind.
        match std::fs::remove_file(&fresh) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        let mut file = open_private(&fresh).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&fresh, path).map_err(io)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(io)
    }
}

/// The ring as it will be. Nothing is changed until [`Rotation::finish`], and nobody else can rotate meanwhile.
#[derive(Debug)]
pub struct Rotation {
    path: PathBuf,
    ring: Ring,
    _alone: std::fs::File,
}

impl Rotation {
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn finish(self) -> Result<Ring, KeyError> {
        self.ring.save(&self.path)?;
        Ok(self.ring)
    }
}

/// Held while the file changes; whoever else wants to change it waits. It holds nothing, and is private like the rest: who
/// can open it can lock it, and so hold a rotation up for ever.
fn lock(path: &Path) -> Result<std::fs::File, KeyError> {
    let io = |source| KeyError::Io { path: path.display().to_string(), source };
    let file = open_lock(&beside(path, "lock")).map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}

fn parse_line(line: &str) -> Option<RingKey> {
    let mut parts = line.split_ascii_whitespace();
    let (kid, secret, created) = (parts.next()?, parts.next()?, parts.next()?);
    let named = kid.len() <= KID_CHARS_MAX && kid.bytes().all(|b| b.is_ascii_alphanumeric());
    if !named || parts.next().is_some() {
        return None;
    }
    Some(RingKey::new(kid.to_owned(), hex_32(secret)?, UtcMillis(created.parse().ok()?)))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    fn kids(ring: &Ring, now: UtcMillis) -> Vec<&str> {
        ring.verifying(OVERLAP_S, |from| now.since(from)).map(|k| k.kid.as_str()).collect()
    }

    #[test]
    fn a_rotation_adds_a_key_and_drops_what_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let (path, master) = (dir.path().join("token-keys"), MasterKey([7; 32]));
        let first = Ring::load_or_create(&path, &master, START).unwrap();
        assert_eq!(first.newest().secret, master.derive("ccms device token v1"));
        let second = Ring::rotate(&path, &master, OVERLAP_S, START.plus_seconds(60)).unwrap();
        assert_eq!((second.newest().kid.as_str(), kids(&second, START)), ("2", vec!["1", "2"]));
        assert_eq!(kids(&Ring::load(&path).unwrap().unwrap(), START), ["1", "2"]);
        let last_day = START.plus_seconds(60 + OVERLAP_S);
        assert_eq!(kids(&second, last_day), ["1", "2"]);
        assert_eq!(kids(&second, last_day.plus_seconds(1)), ["2"]);
        let third = Ring::rotate(&path, &master, OVERLAP_S, last_day.plus_seconds(1)).unwrap();
        assert_eq!(kids(&third, last_day), ["2", "3"]);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&hex(&first.newest().secret)), "dropped for good");
        // A clock set back changes neither the order nor who signs.
        let fourth = Ring::rotate(&path, &master, OVERLAP_S, START).unwrap();
        assert_eq!(fourth.newest().kid, "4");
        assert!(Ring::load(&path).unwrap().is_some());
    }

    #[test]
    fn a_rotation_keeps_what_no_server_was_there_to_replace() {
        let dir = tempfile::tempdir().unwrap();
        let (path, master) = (dir.path().join("token-keys"), MasterKey([7; 32]));
        Ring::load_or_create(&path, &master, START).unwrap();
        Ring::rotate(&path, &master, OVERLAP_S, START).unwrap();
        // Sixty days, of which the server was away for thirty.
        let now = START.plus_seconds(60 * 86_400);
        let elapsed = |from: UtcMillis| now.since(from) - 30 * 86_400_000;
        let kept = Ring::begin_rotation(&path, &master, OVERLAP_S, now, elapsed).unwrap().finish().unwrap();
        assert_eq!(kept.keys().map(|(k, _)| k.kid.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
        let dropped = Ring::rotate(&path, &master, OVERLAP_S, now).unwrap();
        assert_eq!(dropped.keys().map(|(k, _)| k.kid.as_str()).collect::<Vec<_>>(), ["2", "3", "4"]);
    }

    #[test]
    fn the_file_is_private_and_a_broken_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token-keys");
        Ring::load_or_create(&path, &MasterKey([7; 32]), START).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            let beside = beside(&path, "lock");
            assert_eq!(mode(&beside), 0o600);
            // One that an earlier version left open to others is closed.
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o644)).unwrap();
            Ring::rotate(&path, &MasterKey([7; 32]), OVERLAP_S, START).unwrap();
            assert_eq!((mode(&path), mode(&beside)), (0o600, 0o600));
        }
        let (a, b) = ("0a".repeat(32), "0b".repeat(32));
        for bad in [
            String::new(),
            "1 0a 5".into(),
            format!("1 {a}"),
            format!("1 {a} x"),
            format!("1 {a} 5 6"),
            format!("k/1 {a} 5"),
            format!("1 {a} 5\n1 {b} 6"),
            format!("1 {a} 5\n2 {b} 4"),
        ] {
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(Ring::load(&path), Err(KeyError::Malformed { .. })), "{bad}");
        }
        std::fs::write(&path, format!("1 {a} 5\n\n2 {b} 6\n")).unwrap();
        assert_eq!(Ring::load(&path).unwrap().unwrap().newest().kid, "2");
        assert!(!format!("{:?}", Ring::load(&path).unwrap()).contains(&a));
    }

    #[test]
    fn a_rotation_that_is_not_finished_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, master) = (dir.path().join("token-keys"), MasterKey([7; 32]));
        Ring::load_or_create(&path, &master, START).unwrap();
        let begun = Ring::begin_rotation(&path, &master, OVERLAP_S, START, |from| START.since(from)).unwrap();
        assert_eq!(begun.ring().newest().kid, "2");
        drop(begun);
        assert_eq!(kids(&Ring::load(&path).unwrap().unwrap(), START), ["1"]);
        assert_eq!(Ring::rotate(&path, &master, OVERLAP_S, START).unwrap().newest().kid, "2");
    }

    #[test]
    fn rotations_at_once_lose_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token-keys");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Ring::rotate(&path, &MasterKey([7; 32]), OVERLAP_S, START).unwrap());
            }
        });
        assert_eq!(kids(&Ring::load(&path).unwrap().unwrap(), START).len(), 9);
    }
}
