//! People: signing in and out, and who is asking.
//!
//! A person signs in with e-mail address and password on a page that is a plain form, so that it works before or without
//! the browser half. A session cookie carries only a random id; the session holds the person's id under `user_id`. Signing
//! in changes the session's id, signing out empties the session. After signing in a person returns to where they wanted to go, but
//! only to a path of this site.
//!
//! Authorisation: `sign_in` and `sign_out` are open to everyone. Every other server function of the screen starts with
//! [`session::Caller::here`] and proves its right through the service's table of permissions.
mod api;
pub mod next;
#[cfg(feature = "ssr")]
pub mod session;
mod sign_in;

pub use api::{SignIn, SignOut, SignOutEverywhere, sign_in, sign_out, sign_out_everywhere};
pub use sign_in::SignInPage;

use serde::{Deserialize, Serialize};

/// The signed-in person, as the screen knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    pub email: String,
    /// In words, for the menu.
    pub role: String,
    pub may_command: bool,
    pub may_commission: bool,
}
