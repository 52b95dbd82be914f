//! Key exchanges, the first one and later ones.

use super::host_key::HostKeyProof;
use super::state::{Agreeing, Exchange, NewKeys};
use super::{Event, Transport};
use crate::ssh::algorithms::{Algorithms, Init, Role, negotiate};
use crate::ssh::error::Error;
use crate::ssh::key_exchange::{
    ClientShare, Derivation, Direction, Method, SharedSecret, Transcript, respond,
};
use crate::ssh::message;
use crate::ssh::wire::{Reader, Write};

impl Transport {
    /// Sends this side's KEXINIT, and the public value of a client that guesses the method.
    pub(super) fn start_exchange(&mut self) -> Result<(), Error> {
        let cookie = (self.random)().ok_or(Error::NoRandomBytes)?;
        let (offer, is_first) = (&self.settings.offer, self.algorithms.is_none());
        let own_init = offer.message(self.role, cookie, is_first);
        let guess = offer.first_method().filter(|_| offer.guesses_in(self.role, is_first));
        self.seal(&[&own_init])?;
        let share = guess.map(|method| self.send_public_value(method)).transpose()?;
        self.exchange = Exchange::Offered { own_init, share: share.map(Box::new) };
        Ok(())
    }

    /// Sends the client's public value.
    fn send_public_value(&mut self, method: Method) -> Result<ClientShare, Error> {
        let share = ClientShare::new(method, self.random)?;
        let mut request = vec![message::KEX_ECDH_INIT];
        request.put_string(share.public());
        self.seal(&[&request])?;
        Ok(share)
    }

    /// Processes a message of the key exchange.
    pub(super) fn exchange_message(&mut self, number: u8) -> Result<Option<Event>, Error> {
        if let Exchange::Agreeing(agreeing) = &mut self.exchange
            && agreeing.skip_next
            && number >= message::KEX_ECDH_INIT
        {
            agreeing.skip_next = false;
            return Ok(None);
        }
        match (number, self.role) {
            (message::KEXINIT, _) => self.peer_init()?,
            (message::KEX_ECDH_INIT, Role::Server) => self.client_value()?,
            (message::KEX_ECDH_REPLY, Role::Client) => return self.server_value(),
            (message::NEWKEYS, _) => return self.peer_switched(),
            _ => return Err(Error::Unexpected(number)),
        }
        Ok(None)
    }

    fn peer_init(&mut self) -> Result<(), Error> {
        if matches!(self.exchange, Exchange::Idle) {
            self.start_exchange()?;
        }
        let Exchange::Offered { own_init, share } = std::mem::take(&mut self.exchange) else {
            return Err(Error::Unexpected(message::KEXINIT));
        };
        let peer_init = self.message().to_vec();
        let peer = Init::parse(&peer_init).map_err(Error::malformed(message::KEXINIT))?;
        let peer_role = if self.role == Role::Client { Role::Server } else { Role::Client };
        if self.algorithms.is_none() {
            self.is_strict = self.settings.offer.is_strict && peer.is_strict(peer_role);
            self.peer_accepts_extensions = peer.accepts_ext_info(peer_role);
            // With strict key exchange, KEXINIT is the peer's first packet.
            if self.is_strict && self.current.1 != 0 {
                return Err(Error::Unexpected(message::KEXINIT));
            }
        }
        let algorithms = negotiate(&self.settings.offer, &peer, self.role, self.is_strict)?;
        // The server skips the public value of a wrong guess.
        let share = match share.filter(|_| algorithms.is_guess_right) {
            None if self.role == Role::Client => Some(self.send_public_value(algorithms.key_exchange.1)?),
            share => share.map(|share| *share),
        };
        let skip_next = algorithms.has_peer_guessed && !algorithms.is_guess_right;
        self.exchange =
            Exchange::Agreeing(Box::new(Agreeing { own_init, peer_init, algorithms, share, skip_next }));
        Ok(())
    }

    /// Answers the client's public value, with a signature of the host key.
    fn client_value(&mut self) -> Result<(), Error> {
        let Exchange::Agreeing(agreeing) = std::mem::take(&mut self.exchange) else {
            return Err(Error::Unexpected(message::KEX_ECDH_INIT));
        };
        let malformed = Error::malformed(message::KEX_ECDH_INIT);
        let mut reader = Reader::new(&self.message()[1..]);
        let client_public = reader.string().map_err(&malformed)?.to_vec();
        reader.end().map_err(&malformed)?;
        let algorithm = agreeing.algorithms.host_key;
        let has_algorithm =
            |key: &&std::sync::Arc<dyn super::HostKey>| key.public_key().algorithms().contains(&algorithm);
        let key = self.settings.host_keys.iter().find(has_algorithm).cloned();
        let key = key.ok_or(Error::Violation("no host key for the negotiated algorithm"))?;
        let method = agreeing.algorithms.key_exchange.1;
        let (server_public, secret) = respond(method, &client_public, self.random)?;
        let transcript = Transcript {
            client_identification: self.identification.peer().unwrap_or_default(),
            server_identification: self.identification.own(),
            client_init: &agreeing.peer_init,
            server_init: &agreeing.own_init,
            host_key: key.public_key().blob(),
            client_public: &client_public,
            server_public: &server_public,
        };
        let hash = transcript.hash(method, &secret);
        let signature = key.sign(algorithm, hash.as_ref()).ok_or(Error::Signature)?;
        let mut reply = vec![message::KEX_ECDH_REPLY];
        reply.put_string(key.public_key().blob()).put_string(&server_public).put_string(&signature);
        self.seal(&[&reply])?;
        let keys = self.derive(agreeing.algorithms, &secret, hash.as_ref());
        self.switch_sending(keys)
    }

    /// Checks the server's public value and its signature.
    fn server_value(&mut self) -> Result<Option<Event>, Error> {
        let unexpected = Error::Unexpected(message::KEX_ECDH_REPLY);
        let Exchange::Agreeing(agreeing) = std::mem::take(&mut self.exchange) else { return Err(unexpected) };
        let Agreeing { own_init, peer_init, algorithms, share: Some(share), .. } = *agreeing else {
            return Err(unexpected);
        };
        let malformed = Error::malformed(message::KEX_ECDH_REPLY);
        let mut reader = Reader::new(&self.message()[1..]);
        let mut next = || reader.string().map_err(&malformed);
        let (host_key, server_public, signature) = (next()?, next()?, next()?);
        reader.end().map_err(&malformed)?;
        let client_public = share.public().to_vec();
        let method = algorithms.key_exchange.1;
        let secret = share.agree(server_public)?;
        let transcript = Transcript {
            client_identification: self.identification.own(),
            server_identification: self.identification.peer().unwrap_or_default(),
            client_init: &own_init,
            server_init: &peer_init,
            host_key,
            client_public: &client_public,
            server_public,
        };
        let hash = transcript.hash(method, &secret);
        let key = HostKeyProof::parse(algorithms.host_key, host_key).ok_or(Error::HostKeyFormat)?;
        if !key.verifies(algorithms.host_key, hash.as_ref(), signature) {
            return Err(Error::Signature);
        }
        let keys = self.derive(algorithms, &secret, hash.as_ref());
        match &self.host_key {
            None => {
                self.host_key = Some(key);
                self.exchange = Exchange::Trusting(keys);
                Ok(Some(Event::HostKey))
            }
            Some(known) if *known == key => self.switch_sending(keys).map(|()| None),
            Some(_) => Err(Error::HostKeyChanged),
        }
    }

    /// Continues after [`Event::HostKey`], because the caller trusts the key.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn trust_host_key(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.exchange) {
            Exchange::Trusting(keys) => self.switch_sending(keys),
            other => {
                self.exchange = other;
                Ok(())
            }
        }
    }

    fn derive(&mut self, algorithms: Algorithms, secret: &SharedSecret, hash: &[u8]) -> NewKeys {
        let session_id = self.session_id.get_or_insert_with(|| hash.to_vec());
        let method = algorithms.key_exchange.1;
        let derivation = Derivation { method, secret, exchange_hash: hash, session_id };
        let (cipher, mac) = algorithms.to_server;
        let to_server = derivation.keys(Direction::ToServer, cipher, mac);
        let (cipher, mac) = algorithms.to_client;
        let to_client = derivation.keys(Direction::ToClient, cipher, mac);
        let (send, receive) =
            if self.role == Role::Client { (to_server, to_client) } else { (to_client, to_server) };
        NewKeys { algorithms, send, receive }
    }

    /// Sends NEWKEYS, and encrypts with the new keys from then on.
    fn switch_sending(&mut self, keys: NewKeys) -> Result<(), Error> {
        self.seal(&[&[message::NEWKEYS]])?;
        let (to_server, to_client) = (keys.algorithms.to_server, keys.algorithms.to_client);
        let (cipher, mac) = if self.role == Role::Client { to_server } else { to_client };
        self.sealer.rekey(cipher, mac, &keys.send)?;
        if self.is_strict {
            self.sealer.restart_sequence();
        }
        let [to_server, to_client] = keys.algorithms.compresses;
        self.compression.switch_sending(if self.role == Role::Client { to_server } else { to_client });
        self.exchange = Exchange::Switching(keys);
        if self.algorithms.is_none() && self.peer_accepts_extensions {
            self.send_extensions()?;
        }
        // The peer accepts other messages after this NEWKEYS (RFC 4253 §7.3).
        self.flush_queue()
    }

    /// Sends `EXT_INFO` (RFC 8308 §2.3), right after the first NEWKEYS.
    fn send_extensions(&mut self) -> Result<(), Error> {
        let algorithms = crate::ssh::algorithms::SIGNATURES;
        let mut extensions = vec![message::EXT_INFO];
        match self.role {
            Role::Server => {
                extensions.put_u32(2).put_string("server-sig-algs").put_name_list(&algorithms);
                extensions.put_string("ping@openssh.com").put_string("0");
            }
            Role::Client => {
                extensions.put_u32(1).put_string("ext-info-in-auth@openssh.com").put_string("0");
            }
        }
        self.seal(&[&extensions])
    }

    /// Decrypts with the new keys from the peer's NEWKEYS on.
    fn peer_switched(&mut self) -> Result<Option<Event>, Error> {
        let Exchange::Switching(keys) = std::mem::take(&mut self.exchange) else {
            return Err(Error::Unexpected(message::NEWKEYS));
        };
        let (to_server, to_client) = (keys.algorithms.to_server, keys.algorithms.to_client);
        let (cipher, mac) = if self.role == Role::Client { to_client } else { to_server };
        self.opener.rekey(cipher, mac, &keys.receive)?;
        if self.is_strict {
            self.opener.restart_sequence();
        }
        let [to_server, to_client] = keys.algorithms.compresses;
        self.compression.switch_receiving(if self.role == Role::Client { to_client } else { to_server });
        self.usage.renew();
        let is_first = self.algorithms.replace(keys.algorithms).is_none();
        Ok(Some(Event::Established).filter(|_| is_first))
    }
}
