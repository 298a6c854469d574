//! Keys with which other systems act for the city. A key is shown once, when it is made; only its SHA-256 is kept. What a
//! key may do is its scopes, by the table in `permission`; a zone narrows it as it narrows a person.
//!
//! Keys are made and revoked on the command line beside a running server, so the server asks the database for a key. What
//! it was told is remembered for [`FORGET_EVERY`] at most: a revoked key is refused from then on.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_store::{ApiKeyRecord, AuditEntry, DynStore, NewApiKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::{Scope, Who};

/// What every key begins with, so that a leaked one is recognised for what it is.
pub const PREFIX: &str = "ccms_";
/// Characters behind the prefix, five random bits each.
const RANDOM_CHARS: usize = 40;
pub const NAME_CHARS_MAX: usize = 64;
/// Answers of the database are forgotten this often.
pub(crate) const FORGET_EVERY: Duration = Duration::from_secs(1);
/// Answers remembered at a time; further keys are asked for each time.
const REMEMBERED_MAX: usize = 1_024;

/// A key that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub no: i64,
    /// `api key NAME`, as commands and the audit log record it.
    name: String,
    scopes: Vec<Scope>,
    zone: Option<String>,
}

impl ApiKey {
    pub fn who(&self) -> Who<'_> {
        Who::key(&self.name, &self.scopes, self.zone.as_deref())
    }
}

impl From<ApiKeyRecord> for ApiKey {
    fn from(record: ApiKeyRecord) -> Self {
        let scopes = record.scopes.split(',').filter_map(Scope::parse).collect();
        Self { no: record.no, name: format!("api key {}", record.name), scopes, zone: record.zone }
    }
}

/// What the database said of keys a moment ago.
#[derive(Debug, Default)]
pub(crate) struct RecentKeys(Mutex<HashMap<[u8; 32], Option<Arc<ApiKey>>>>);

impl RecentKeys {
    fn get(&self, hash: &[u8; 32]) -> Option<Option<Arc<ApiKey>>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).get(hash).cloned()
    }

    fn put(&self, hash: [u8; 32], key: Option<Arc<ApiKey>>) {
        let mut map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if map.len() < REMEMBERED_MAX {
            map.insert(hash, key);
        }
    }

    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}

impl Ccms {
    /// The key in force that this text is, if it is one.
    pub async fn api_key(&self, presented: &str) -> Result<Option<Arc<ApiKey>>, ServiceError> {
        if !presented.starts_with(PREFIX) || presented.len() != PREFIX.len() + RANDOM_CHARS {
            return Ok(None);
        }
        let hash = hash(presented);
        if let Some(recent) = self.inner().recent_keys.get(&hash) {
            return Ok(recent);
        }
        let key = self.store().api_key(&hash).await?.map(|record| Arc::new(ApiKey::from(record)));
        self.inner().recent_keys.put(hash, key.clone());
        Ok(key)
    }
}

impl Ccms {
    /// Whether a key that was in force a while ago still is. A database that does not answer takes nothing away.
    pub async fn api_key_in_force(&self, key: &ApiKey) -> bool {
        match self.store().api_keys().await {
            Ok(keys) => keys.iter().any(|k| k.no == key.no && k.revoked_at.is_none()),
            Err(_) => true,
        }
    }
}

/// Makes a key and answers its text, which nobody can find out again.
///
/// # Errors
/// [`ServiceError::Invalid`] when the name is none or taken, or no scope is given.
pub async fn create(
    store: &DynStore,
    actor: &str,
    now: UtcMillis,
    name: &str,
    scopes: &[Scope],
    zone: Option<String>,
) -> Result<String, ServiceError> {
    let named = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if !named || name.trim() != name {
        let message = format!("A key's name has 1 to {NAME_CHARS_MAX} characters, without blanks at its ends.");
        return Err(ServiceError::Invalid { field: "name", message });
    }
    if scopes.is_empty() {
        let message = "A key needs at least one scope: read, command or admin.".into();
        return Err(ServiceError::Invalid { field: "scopes", message });
    }
    if zone.is_some() && scopes.contains(&Scope::Admin) {
        let message = "What admin adds (devices, imports, revoking) is for the whole city. Give a key of one zone the \
                       scopes read or command.";
        return Err(ServiceError::Invalid { field: "scopes", message: message.into() });
    }
    let text = random_text();
    let scopes = scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(",");
    let detail = json!({"scopes": scopes, "zone": zone});
    let new = NewApiKey { name: name.to_owned(), scopes, zone, hash: hash(&text), created_at: now };
    store.create_api_key(new, &audit(actor, now, "api_key.create", name, detail)).await?;
    Ok(text)
}

/// Revokes the key of this name; false when there is none in force.
pub async fn revoke(store: &DynStore, actor: &str, now: UtcMillis, name: &str) -> Result<bool, ServiceError> {
    Ok(store.revoke_api_key(name, now, &audit(actor, now, "api_key.revoke", name, json!({}))).await?)
}

fn audit(actor: &str, at: UtcMillis, action: &str, target: &str, detail: serde_json::Value) -> AuditEntry {
    AuditEntry { at, actor: actor.into(), action: action.into(), target: target.into(), detail }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn random_text() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    const CHARS_PER_DRAW: usize = 20;
    let mut text = PREFIX.to_owned();
    for _ in 0..RANDOM_CHARS / CHARS_PER_DRAW {
        let bits = crate::chance::bits();
        text.extend((0..CHARS_PER_DRAW).map(|i| char::from(ALPHABET[(bits >> (5 * i)) as usize & 31])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_never_the_same() {
        let (a, b) = (random_text(), random_text());
        assert_ne!(a, b);
        assert!(a.starts_with(PREFIX) && a.len() == PREFIX.len() + RANDOM_CHARS, "{a}");
        assert!(a.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
        assert_ne!(hash(&a), hash(&b));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let recent = RecentKeys::default();
        for n in 0..REMEMBERED_MAX + 5 {
            recent.put(hash(&n.to_string()), None);
        }
        assert_eq!(recent.get(&hash("0")), Some(None));
        assert_eq!(recent.get(&hash(&REMEMBERED_MAX.to_string())), None);
        recent.forget();
        assert_eq!(recent.get(&hash("0")), None);
    }
}
