//! Who signs in. What each may do is the table in `permission`.
use std::collections::HashMap;
use std::sync::Mutex;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, NewUser, Role, UserRecord};
use serde_json::json;

use crate::ccms::Ccms;
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::permission::Who;

/// Someone who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    /// Sees and commands only the lights of this zone.
    pub zone: Option<String>,
}

impl Person {
    pub fn who(&self) -> Who<'_> {
        Who::person(&self.email, self.role, self.zone.as_deref())
    }
}

impl From<UserRecord> for Person {
    fn from(u: UserRecord) -> Self {
        Self { id: u.id, email: u.email, role: u.role, zone: u.zone }
    }
}

/// Under this name a web session keeps the [`UserId`] of who is signed in.
pub const SESSION_USER_KEY: &str = "user_id";
/// Characters of a password; the upper bound keeps hashing time bounded.
pub const PASSWORD_CHARS_MIN: usize = 10;
pub const PASSWORD_CHARS_MAX: usize = 200;
/// Failed sign-ins of one account before it has to wait, and for how long after each further one.
const FREE_FAILURES: u32 = 5;
const WAIT_PER_FAILURE_S: u32 = 5;
const WAIT_MAX_S: u32 = 300;
/// Accounts whose failures are remembered.
const FAILURES_KEPT_MAX: usize = 10_000;

/// Failed sign-ins, by account.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<String, (u32, UtcMillis)>>);

impl Failures {
    fn wait_s(&self, email: &str, now: UtcMillis) -> Option<u32> {
        let map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let (count, last) = map.get(email)?;
        let wait = (count.saturating_sub(FREE_FAILURES - 1) * WAIT_PER_FAILURE_S).min(WAIT_MAX_S);
        let left = i64::from(wait) - now.since(*last) / 1000;
        (*count >= FREE_FAILURES && left > 0).then_some(left as u32)
    }

    fn note(&self, email: &str, now: UtcMillis, failed: bool) {
        let mut map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if !failed {
            map.remove(email);
            return;
        }
        if map.len() >= FAILURES_KEPT_MAX {
            map.retain(|_, (_, last)| now.since(*last) < i64::from(WAIT_MAX_S) * 1000);
        }
        if map.len() < FAILURES_KEPT_MAX || map.contains_key(email) {
            let entry = map.entry(email.to_owned()).or_insert((0, now));
            *entry = (entry.0 + 1, now);
        }
    }
}

/// A person to be, checked, with the password hashed: 20 ms and 19 MiB, so not on an async thread.
///
/// # Errors
/// [`ServiceError::Invalid`] when the address is none or the password too short or too long.
pub fn new_user(
    email: &str,
    password: &str,
    role: Role,
    zone: Option<String>,
    now: UtcMillis,
) -> Result<NewUser, ServiceError> {
    let email = email.trim().to_lowercase();
    if !email.contains('@') || email.len() > 254 || email.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(ServiceError::Invalid { field: "email", message: "This is not an e-mail address.".into() });
    }
    Ok(NewUser { email, role, zone, password_hash: hash_password(password)?, created_at: now })
}

/// The PHC string of argon2id.
pub fn hash_password(password: &str) -> Result<String, ServiceError> {
    let chars = password.chars().count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        let message =
            format!("A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters; this one has {chars}.");
        return Err(ServiceError::Invalid { field: "password", message });
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|error| {
        tracing::error!(%error, "hashing a password failed");
        ServiceError::Unavailable
    })?;
    Ok(hash.to_string())
}

impl Ccms {
    /// Makes a person. Errors when the address is taken or the password is too short.
    pub async fn create_person(&self, email: &str, password: &str, role: Role) -> Result<Person, ServiceError> {
        let (email, password, now) = (email.to_owned(), password.to_owned(), self.now());
        let new = self.hashing(move || new_user(&email, &password, role, None, now)).await??;
        let audit = self.audit_entry("system", "person.create", &new.email, json!({ "role": role.as_str() }));
        Ok(self.store().create_user(new, &audit).await?.into())
    }

    /// Ends every session of a person, this one too.
    pub async fn sign_out_everywhere(&self, person: &Person) -> Result<u64, ServiceError> {
        let audit = self.audit_entry(&person.email, "sign_out.everywhere", &person.email, json!({}));
        self.store().delete_sessions_of(person.id, &audit).await?.ok_or(ServiceError::NotFound)
    }

    /// # Errors
    /// [`ServiceError::SignInRefused`] whatever was wrong, [`ServiceError::SignInLater`] after too many failures.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Person, ServiceError> {
        let email = email.trim().to_lowercase();
        if let Some(seconds) = self.failures().wait_s(&email, self.now()) {
            return Err(ServiceError::SignInLater { seconds });
        }
        let user = self.store().user_by_email(&email).await?;
        // An unknown account costs the same hash as a known one, so that time does not tell which exist.
        let hash = user.as_ref().map_or_else(|| UNKNOWN_HASH.to_owned(), |u| u.password_hash.clone());
        let right = self.verify(password.to_owned(), hash).await?;
        let person = user.filter(|_| right).map(Person::from);
        self.failures().note(&email, self.now(), person.is_none());
        let action = if person.is_some() { "sign_in" } else { "sign_in.refused" };
        self.audit(&email, action, &email, json!({})).await;
        person.ok_or(ServiceError::SignInRefused)
    }

    pub async fn person(&self, id: UserId) -> Result<Option<Person>, ServiceError> {
        Ok(self.store().user_by_id(id).await?.map(Person::from))
    }

    /// Who is signed in under this session id, as the database has it now.
    pub async fn session_person(&self, session: &str) -> Result<Option<Person>, ServiceError> {
        // Sessions live by real time, whatever a demonstration's clock says.
        let row = self.store().session(session, Clock::system(0).now()).await?;
        match row.and_then(|row| row.user_id) {
            Some(id) => self.person(id).await,
            None => Ok(None),
        }
    }

    /// True when nobody can sign in yet.
    pub async fn has_no_people(&self) -> Result<bool, ServiceError> {
        Ok(self.store().user_count().await? == 0)
    }

    async fn verify(&self, password: String, hash: String) -> Result<bool, ServiceError> {
        self.hashing(move || {
            PasswordHash::new(&hash).is_ok_and(|h| Argon2::default().verify_password(password.as_bytes(), &h).is_ok())
        })
        .await
    }

    /// Runs a hash off the async threads, a bounded number at once.
    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
        let _permit = self.hash_permits().acquire().await.map_err(|_| ServiceError::Unavailable)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| ServiceError::Unavailable)
    }

    pub(crate) async fn audit(&self, actor: &str, action: &str, target: &str, detail: serde_json::Value) {
        if let Err(error) = self.store().write_audit(&self.audit_entry(actor, action, target, detail)).await {
            tracing::error!(%error, action, "an audit entry was lost");
        }
    }

    pub(crate) fn audit_entry(&self, actor: &str, action: &str, target: &str, detail: serde_json::Value) -> AuditEntry {
        AuditEntry { at: self.now(), actor: actor.into(), action: action.into(), target: target.into(), detail }
    }
}

/// The hash of a random password that nobody kept.
const UNKNOWN_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$8J0Vv0lmYJqWJ4x1yRCqGg$vJp0H7m1kVQ2n3b5u0m1xX1n0r9eYw2q8o3kqJX3b1E";
