//! Who signs in. What each may do is the table in `permission`.
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
/// Bytes of an e-mail address (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;

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
    if !email.contains('@')
        || email.len() > EMAIL_BYTES_MAX
        || email.chars().any(|c| c.is_control() || c.is_whitespace())
    {
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
        if email.len() > EMAIL_BYTES_MAX {
            return Err(ServiceError::SignInRefused);
        }
        let attempts = &self.inner().attempts;
        attempts.begin(&email, self.clock().monotonic()).map_err(|seconds| ServiceError::SignInLater { seconds })?;
        let person = match self.person_with(&email, password).await {
            Ok(person) => person,
            Err(error) => {
                attempts.undone(&email);
                return Err(error);
            }
        };
        if person.is_some() {
            attempts.succeeded(&email);
        }
        let action = if person.is_some() { "sign_in" } else { "sign_in.refused" };
        self.audit(&email, action, &email, json!({})).await;
        person.ok_or(ServiceError::SignInRefused)
    }

    async fn person_with(&self, email: &str, password: &str) -> Result<Option<Person>, ServiceError> {
        let user = self.store().user_by_email(email).await?;
        // An unknown account costs the same hash as a known one, so that time does not tell which exist.
        let hash = user.as_ref().map_or_else(|| UNKNOWN_HASH.to_owned(), |u| u.password_hash.clone());
        let right = self.verify(password.to_owned(), hash).await?;
        Ok(user.filter(|_| right).map(Person::from))
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
