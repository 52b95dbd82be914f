//! Authentication by keys (RFC 4252 §7).

use super::identity::Tried;
use super::{ClientAuth, Method, State, Step};
use crate::ssh::certificate;
use crate::ssh::message;
use crate::ssh::wire::Write;

impl ClientAuth {
    /// Tries an identity: asks the server first if that may save a signature or a prompt.
    pub(super) fn try_identity(&mut self, index: usize) -> State {
        self.note(Tried::Key(self.identities[index].name.clone()));
        let is_only_one = self.identities.len() == 1;
        if is_only_one && !self.identities[index].is_locked {
            return self.sign(index);
        }
        let algorithm = self.algorithm(index);
        let query = self.request("publickey", |request| {
            request.put_bool(false).put_string(algorithm).put_string(self.identities[index].blob());
        });
        State::Sending(query, Method::Query(index))
    }

    pub(super) fn sign(&self, index: usize) -> State {
        let algorithm = self.algorithm(index);
        let mut data = Vec::new();
        data.put_string(&self.session_id).put(&self.signed_request(index, algorithm));
        State::Awaiting(Step::Sign { identity: index, algorithm, data })
    }

    /// Supplies the signature that [`Step::Sign`] asks for; `None` if the key cannot sign.
    pub fn signed(&mut self, signature: Option<&[u8]>) {
        let State::Awaiting(Step::Sign { identity, algorithm, .. }) = self.state else {
            debug_assert!(false, "no signature was requested");
            return;
        };
        self.state = match signature {
            None => {
                let name = &self.identities[identity].name;
                self.tried.retain(|tried| !matches!(tried, Tried::Key(key) if key == name));
                State::Choose
            }
            Some(signature) => {
                let mut request = self.signed_request(identity, algorithm);
                request.put_string(signature);
                State::Sending(request.into(), Method::Key(identity))
            }
        };
    }

    /// Returns the request that is signed, without the signature.
    fn signed_request(&self, index: usize, algorithm: &str) -> Vec<u8> {
        let request = self.request("publickey", |request| {
            request.put_bool(true).put_string(algorithm).put_string(self.identities[index].blob());
        });
        debug_assert_eq!(request.first(), Some(&message::USERAUTH_REQUEST));
        request.to_vec()
    }

    /// Returns the algorithm for an identity: the first one that the server accepts or, if it has
    /// not said so, the last one, which more servers know.
    pub(super) fn algorithm(&self, index: usize) -> &'static str {
        let algorithms = self.identities[index].algorithms;
        let accepted = self.signature_algorithms.as_ref().and_then(|accepted| {
            // Servers list the signature algorithm of a certificate's key.
            let is_accepted = |name: &str| {
                let signature = certificate::signature_algorithm(name).unwrap_or(name);
                accepted.iter().any(|it| it == name || it == signature)
            };
            algorithms.iter().find(|algorithm| is_accepted(algorithm))
        });
        accepted.or(algorithms.last()).copied().unwrap_or_default()
    }
}
