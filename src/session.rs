//! Web sessions over the store: the cookie holds an id, the database everything else.
use std::fmt;

use async_trait::async_trait;
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_service::clock::Clock;
use ccms_service::{Ccms, Person};
use ccms_store::{SessionRecord, StoreError};
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};

/// A session ends after this long without use.
const IDLE_DAYS: i64 = 7;
/// Tries to find a free id; one is enough unless the random source is broken.
const ID_TRIES: usize = 8;

#[derive(Clone)]
pub struct StoredSessions(Ccms);

impl fmt::Debug for StoredSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredSessions")
    }
}

/// `secure`: a TLS proxy stands in front, so the cookie may be bound to TLS and to this host.
pub fn layer(ccms: &Ccms, secure: bool) -> SessionManagerLayer<StoredSessions> {
    SessionManagerLayer::new(StoredSessions(ccms.clone()))
        .with_name(if secure { "__Host-ccms" } else { "ccms" })
        .with_secure(secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(Duration::days(IDLE_DAYS)))
}

/// Who is signed in.
pub async fn person(session: &Session, ccms: &Ccms) -> Option<Person> {
    let id: i64 = session.get(ccms_service::people::SESSION_USER_KEY).await.ok().flatten()?;
    ccms.person(UserId(id)).await.ok().flatten()
}

impl StoredSessions {
    fn row(record: &Record) -> Result<SessionRecord> {
        let data = serde_json::to_string(record).map_err(|e| Error::Encode(e.to_string()))?;
        let user = record.data.get(ccms_service::people::SESSION_USER_KEY).and_then(serde_json::Value::as_i64);
        let user_id = user.map(UserId);
        let expires_at = UtcMillis((record.expiry_date.unix_timestamp_nanos() / 1_000_000) as i64);
        Ok(SessionRecord { id: record.id.to_string(), user_id, data, expires_at })
    }
}

fn backend(error: StoreError) -> Error {
    tracing::error!(%error, "a web session could not be read or written");
    Error::Backend("the database does not answer".into())
}

#[async_trait]
impl SessionStore for StoredSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        for _ in 0..ID_TRIES {
            if self.0.store().create_session(&Self::row(record)?).await.map_err(backend)? {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("no free session id".into()))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.0.store().save_session(&Self::row(record)?).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        // Sessions live by real time, whatever a demonstration's clock says.
        let now = Clock::system(0).now();
        let Some(row) = self.0.store().session(&id.to_string(), now).await.map_err(backend)? else { return Ok(None) };
        serde_json::from_str(&row.data).map(Some).map_err(|e| Error::Decode(e.to_string()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.store().delete_session(&id.to_string()).await.map_err(backend)
    }
}
