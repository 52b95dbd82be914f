//! The login for a proxy.

use crate::proto::Credentials;
use crate::secret::{Secret, UserName};

/// The configured credentials for a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user name; `None` for the login name, which is looked up only when it is needed.
    pub user: Option<UserName>,
    /// The password; if it is `None` and the proxy requests one, `ask` is its source.
    pub password: Option<Secret>,
    /// The source of the password if `password` is `None`.
    pub ask: PasswordPrompt,
}

/// The source of a password that is not configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordPrompt {
    /// The user, through the terminal or askpass.
    #[default]
    User,
    /// A shell command; `%h`, `%p` and `%u` expand to the proxy's host, its port and the user name.
    Command {
        /// The command.
        line: String,
        /// The option or parameter that set it, for messages.
        source: String,
    },
}

impl Login {
    /// Returns this login without its password.
    #[must_use]
    pub fn without_password(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// Returns the credentials if the user name and password are both configured; `None` if either
    /// must be looked up or prompted for.
    #[must_use]
    pub fn known(&self) -> Option<Credentials> {
        Some(Credentials { user: self.user.clone()?, password: self.password.clone()? })
    }
}
