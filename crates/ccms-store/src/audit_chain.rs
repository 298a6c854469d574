//! The chain of audit entries: each hash covers its entry and the hash before it, so that nothing can be changed, removed
//! or put in between without the end of the chain changing.
use sha2::{Digest, Sha256};

use crate::{AuditEntry, ChainedEntry};

/// What stands before the first entry.
pub const CHAIN_START: [u8; 32] = [0; 32];

/// The hash of entry number `no` after `previous`. `detail` is the text as it is stored.
pub fn link(previous: &[u8; 32], no: i64, entry: &AuditEntry, detail: &str) -> [u8; 32] {
    let content = serde_json::json!([no, entry.at.0, entry.actor, entry.action, entry.target, detail]).to_string();
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(content.as_bytes());
    hasher.finalize().into()
}

/// Walks a stretch of the chain that begins after `previous`. Answers the hash at its end.
///
/// # Errors
/// The number of the first entry whose hash is not what it must be.
pub fn walk(previous: [u8; 32], entries: &[ChainedEntry]) -> Result<[u8; 32], i64> {
    let mut at = previous;
    for chained in entries {
        match chained.hash {
            // Entries written before the chain existed stand in front of it, and only there.
            None if at == CHAIN_START => {}
            Some(hash) if hash == link(&at, chained.no, &chained.entry, &chained.detail_text) => at = hash,
            _ => return Err(chained.no),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use ccms_core::time::UtcMillis;
    use serde_json::json;

    use super::*;

    fn chain(n: i64) -> Vec<ChainedEntry> {
        let mut at = CHAIN_START;
        (1..=n)
            .map(|no| {
                let entry = AuditEntry {
                    at: UtcMillis(no),
                    actor: "a".into(),
                    action: "b".into(),
                    target: format!("t{no}"),
                    detail: json!({"n": no}),
                };
                let detail_text = entry.detail.to_string();
                at = link(&at, no, &entry, &detail_text);
                ChainedEntry { no, entry, detail_text, hash: Some(at) }
            })
            .collect()
    }

    #[test]
    fn a_whole_chain_walks_in_any_stretches() {
        let all = chain(9);
        let end = walk(CHAIN_START, &all).unwrap();
        let middle = walk(CHAIN_START, &all[..4]).unwrap();
        assert_eq!(walk(middle, &all[4..]), Ok(end));
        let old = ChainedEntry { hash: None, ..all[0].clone() };
        assert_eq!(walk(CHAIN_START, &[vec![old], all].concat()), Ok(end));
    }

    #[test]
    fn any_change_is_found() {
        let all = chain(5);
        let broken: [fn(&mut Vec<ChainedEntry>); 5] = [
            |c| c[2].entry.target = "x".into(),
            |c| c[2].detail_text.push(' '),
            |c| c[2].entry.at = UtcMillis(0),
            |c| c[2].hash = None,
            |c| drop(c.remove(2)),
        ];
        for change in broken {
            let mut entries = all.clone();
            change(&mut entries);
            assert!(walk(CHAIN_START, &entries).is_err());
        }
        assert!(walk(CHAIN_START, &[all[1].clone(), all[0].clone()]).is_err());
    }
}
