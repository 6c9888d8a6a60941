//! WireGuard's configuration format: what wg(8) reads, and the address and MTU of wg-quick(8).

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ip_network::IpNetwork;
use tunctl::{InterfaceAddress, Mtu};

const KEYS: &str = "[Interface] has PrivateKey, Address, ListenPort, MTU, FwMark; [Peer] PublicKey, \
                    PresharedKey, AllowedIPs, Endpoint, PersistentKeepalive";

/// A key: private, public or shared. All zeros: none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

/// What a file says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `PrivateKey`.
    pub private_key: Key,
    /// `Address`.
    pub addresses: Vec<InterfaceAddress>,
    /// `ListenPort`. 0: the system chooses.
    pub listen_port: u16,
    /// `MTU`.
    pub mtu: Option<Mtu>,
    /// `FwMark`. 0: none.
    pub mark: u32,
    /// The peers, in their order.
    pub peers: Vec<PeerConfig>,
}

/// What a section `[Peer]` says.
#[derive(Clone, Debug, Default)]
pub struct PeerConfig {
    /// The line where it begins.
    pub line: usize,
    /// `PublicKey`.
    pub public_key: Key,
    /// `PresharedKey`.
    pub preshared_key: Option<Key>,
    /// `AllowedIPs`.
    pub allowed_ips: Vec<IpNetwork>,
    /// `Endpoint`, as an address.
    pub endpoint: Option<SocketAddr>,
    /// `PersistentKeepalive`, in seconds. 0: off.
    pub keepalive: u16,
}

impl FromStr for Config {
    /// The number of the line that cannot be used, why, and what to do about it.
    type Err = String;

    /// Resolves the names of endpoints as well, which may take time.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut config, mut section) = (Self::default(), "");
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or_default().trim();
            match &*content.to_ascii_lowercase() {
                "" => {}
                "[interface]" => section = "interface",
                "[peer]" => {
                    config.peers.push(PeerConfig { line, ..PeerConfig::default() });
                    section = "peer";
                }
                _ => {
                    let form =
                        "this is no section, and no `Key = value`. Sections are [Interface] and [Peer]";
                    let pair = content.split_once('=').ok_or_else(|| format!("line {line}: {form}"));
                    let (key, value) = pair.map(|(key, value)| (key.trim(), value.trim()))?;
                    let outcome = config.set(section, &key.to_ascii_lowercase(), value);
                    // What is none of them may be a private key that lost its place.
                    let known = KEYS.split([' ', ',', ';']).find(|known| known.eq_ignore_ascii_case(key));
                    outcome.map_err(|why| format!("line {line}: {}: {why}", known.unwrap_or("?")))?;
                }
            }
        }
        if config.private_key == Key::default() {
            return Err("no [Interface] of this file has a PrivateKey. Make one: tunctl-vpn genkey".into());
        }
        if let Some(peer) = config.peers.iter().find(|peer| peer.public_key == Key::default()) {
            let why = "this [Peer] has no PublicKey. Ask it: tunctl-vpn pubkey < KEY";
            return Err(format!("line {}: {why}", peer.line));
        }
        Ok(config)
    }
}

impl Config {
    fn set(&mut self, section: &str, key: &str, value: &str) -> Result<(), String> {
        match (section, key, self.peers.split_last_mut()) {
            ("interface", "privatekey", _) => self.private_key = value.parse()?,
            ("interface", "address", _) => self.addresses.extend(networks(value, InterfaceAddress::new)?),
            ("interface", "listenport", _) => self.listen_port = number(value, 65_535)?,
            ("interface", "mtu", _) => self.mtu = Some(value.parse().map_err(|error| format!("{error}"))?),
            ("interface", "fwmark", _) => self.mark = number(value, u32::MAX)?,
            ("peer", "publickey", Some((peer, others))) => {
                peer.public_key = value.parse()?;
                refuse_if(others, |other| other.public_key == peer.public_key)?;
            }
            ("peer", "presharedkey", Some((peer, _))) => peer.preshared_key = Some(value.parse()?),
            ("peer", "allowedips", Some((peer, others))) => {
                let networks = networks(value, IpNetwork::new_truncate)?;
                refuse_if(others, |other| networks.iter().any(|one| other.allowed_ips.contains(one)))?;
                peer.allowed_ips.extend(networks);
            }
            ("peer", "endpoint", Some((peer, _))) => {
                let example = "Write it as 192.0.2.1:51820, [2001:db8::1]:51820 or host:51820";
                let found = value.to_socket_addrs();
                peer.endpoint = found.map_err(|error| format!("{value}: {error}. {example}"))?.next();
            }
            ("peer", "persistentkeepalive", Some((peer, _))) => peer.keepalive = number(value, 65_535)?,
            _ => return Err(format!("the section above has no such key. {KEYS}. Move or remove the line")),
        }
        Ok(())
    }
}

/// What two peers cannot both have.
fn refuse_if(others: &[PeerConfig], has_it: impl Fn(&PeerConfig) -> bool) -> Result<(), String> {
    let why = "has it, and a packet goes to one only. Choose";
    let other = others.iter().find(|other| has_it(other));
    other.map_or(Ok(()), |other| Err(format!("the peer of line {} {why}", other.line)))
}

/// A number, in hexadecimal behind `0x`; `off` is 0.
fn number<N: TryFrom<u32>>(text: &str, most: u32) -> Result<N, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => if text == "off" { "0" } else { text }.parse(),
    };
    let number = parsed.ok().and_then(|number| number.try_into().ok());
    number.ok_or_else(|| format!("{text} is out of range, or no number. Write one from 0 to {most}, or off"))
}

/// Addresses, each with the length of its prefix; without it, the address is one host's.
fn networks<T, E: fmt::Display>(text: &str, new: fn(IpAddr, u8) -> Result<T, E>) -> Result<Vec<T>, String> {
    let parse = |part: &str| {
        let (ip, length) = part.split_once('/').map_or((part, None), |(ip, length)| (ip, Some(length)));
        let example = "Write it as 10.0.0.1/24 or fd00::1/64";
        let ip: IpAddr = ip.parse().map_err(|_| format!("{ip} is no address. {example}"))?;
        let length = length.map_or(Ok(if ip.is_ipv4() { 32 } else { 128 }), str::parse);
        let length =
            length.map_err(|_| format!("{part} has no length of a prefix behind the /. {example}"))?;
        new(ip, length).map_err(|error| format!("{part}: {error}"))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse).collect()
}

impl FromStr for Key {
    type Err = String;

    /// An error does not show the key.
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let form = "A key is 44 characters of base64, of which the last is =. Copy it whole";
        bytes.map(Self).ok_or_else(|| format!("these {} characters are no key. {form}", text.len()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests;
