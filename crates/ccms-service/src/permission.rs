//! Who may do what: one table for people and one for API keys, and the proofs that methods take as arguments. A method that
//! needs a right takes its proof, so that nothing can be called without it.
//!
//! | | viewer | operator | technician | admin | key `read` | key `command` | key `admin` |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | view lights, readings, commands, alerts | yes | yes | yes | yes | yes | yes | yes |
//! | switch, dim, schedule, cancel | | yes | yes | yes | | yes | yes |
//! | acknowledge and resolve alerts | | yes | yes | yes | | yes | yes |
//! | let devices in, swap, import, correct places | | | yes | yes | | | yes |
//! | revoke devices, people, keys, audit | | | | yes | | | yes |
//!
//! A zone narrows whom it is given to: only its lights are seen and commanded, and nothing that concerns the whole fleet
//! (letting devices in, importing, administration) is allowed.
use ccms_store::{LightRecord, Role};

use crate::live::KeptLight;

use crate::error::ServiceError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    View,
    Command,
    Acknowledge,
    Commission,
    Administer,
}

impl Permission {
    pub const ALL: [Self; 5] = [Self::View, Self::Command, Self::Acknowledge, Self::Commission, Self::Administer];

    /// Concerns the whole fleet, so a zone does not have it.
    pub const fn is_fleet_wide(self) -> bool {
        matches!(self, Self::Commission | Self::Administer)
    }
}

/// What an API key was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Read,
    Command,
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Command, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Command => "command",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

pub const fn role_may(role: Role, wanted: Permission) -> bool {
    use Permission as P;
    match role {
        Role::Viewer => matches!(wanted, P::View),
        Role::Operator => matches!(wanted, P::View | P::Command | P::Acknowledge),
        Role::Technician => matches!(wanted, P::View | P::Command | P::Acknowledge | P::Commission),
        Role::Admin => true,
    }
}

pub const fn scope_may(scope: Scope, wanted: Permission) -> bool {
    use Permission as P;
    match scope {
        Scope::Read => matches!(wanted, P::View),
        Scope::Command => matches!(wanted, P::View | P::Command | P::Acknowledge),
        Scope::Admin => true,
    }
}

/// A person or a key as the use cases see it.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    name: &'a str,
    zone: Option<&'a str>,
    grant: Grant<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Grant<'a> {
    Role(Role),
    Scopes(&'a [Scope]),
}

impl<'a> Who<'a> {
    pub const fn person(name: &'a str, role: Role, zone: Option<&'a str>) -> Self {
        Self { name, zone, grant: Grant::Role(role) }
    }

    pub const fn key(name: &'a str, scopes: &'a [Scope], zone: Option<&'a str>) -> Self {
        Self { name, zone, grant: Grant::Scopes(scopes) }
    }

    /// An e-mail address, or `api key NAME`: what the audit log and commands record.
    pub const fn name(self) -> &'a str {
        self.name
    }

    pub const fn zone(self) -> Option<&'a str> {
        self.zone
    }

    pub fn may(self, wanted: Permission) -> bool {
        let granted = match self.grant {
            Grant::Role(role) => role_may(role, wanted),
            Grant::Scopes(scopes) => scopes.iter().any(|scope| scope_may(*scope, wanted)),
        };
        granted && (self.zone.is_none() || !wanted.is_fleet_wide())
    }

    /// Whether this light is theirs to see.
    pub(crate) fn sees(self, light: &impl Zoned) -> bool {
        self.zone.is_none_or(|zone| light.is_in(zone))
    }
}

/// A light, which is in a zone.
pub(crate) trait Zoned {
    fn is_in(&self, zone: &str) -> bool;
}

impl Zoned for LightRecord {
    fn is_in(&self, zone: &str) -> bool {
        self.curated.zone == zone
    }
}

impl Zoned for KeptLight {
    fn is_in(&self, zone: &str) -> bool {
        self.is_in_zone(zone)
    }
}

macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident, $ask:ident, $permission:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name<'a>(Who<'a>);

            impl<'a> $name<'a> {
                pub const fn who(self) -> Who<'a> {
                    self.0
                }

                pub const fn name(self) -> &'a str {
                    self.0.name
                }
            }
        )*

        impl<'a> Who<'a> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`ServiceError::Forbidden`] when the table says no.
                pub fn $ask(self) -> Result<$name<'a>, ServiceError> {
                    if self.may(Permission::$permission) { Ok($name(self)) } else { Err(ServiceError::Forbidden) }
                }
            )*
        }
    };
}

proofs! {
    /// Proof: may look.
    MayView, may_view, View;
    /// Proof: may switch lights.
    MayCommand, may_command, Command;
    /// Proof: may acknowledge and resolve alerts.
    MayAcknowledge, may_acknowledge, Acknowledge;
    /// Proof: may let devices in and correct what is known of lights.
    MayCommission, may_commission, Commission;
    /// Proof: may revoke devices and manage people and keys.
    MayAdminister, may_administer, Administer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_above() {
        let row = |may: &dyn Fn(Permission) -> bool| Permission::ALL.map(|p| u8::from(may(p)));
        assert_eq!(row(&|p| role_may(Role::Viewer, p)), [1, 0, 0, 0, 0]);
        assert_eq!(row(&|p| role_may(Role::Operator, p)), [1, 1, 1, 0, 0]);
        assert_eq!(row(&|p| role_may(Role::Technician, p)), [1, 1, 1, 1, 0]);
        assert_eq!(row(&|p| role_may(Role::Admin, p)), [1; 5]);
        assert_eq!(row(&|p| scope_may(Scope::Read, p)), [1, 0, 0, 0, 0]);
        assert_eq!(row(&|p| scope_may(Scope::Command, p)), [1, 1, 1, 0, 0]);
        assert_eq!(row(&|p| scope_may(Scope::Admin, p)), [1; 5]);
    }

    #[test]
    fn a_zone_has_no_fleet() {
        let who = Who::person("a@b", Role::Admin, Some("north"));
        assert!(who.may_command().is_ok() && who.may_commission().is_err() && who.may_administer().is_err());
    }
}
