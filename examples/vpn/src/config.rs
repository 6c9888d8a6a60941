//! WireGuard's configuration format, as wg(8) and wg-quick(8) have it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use base64::prelude::{BASE64_STANDARD, Engine};
use boringtun::x25519::{PublicKey, StaticSecret};
use ip_network::IpNetwork;
use tunctl::{InterfaceAddress, Mtu};

/// What a file says.
#[derive(Clone)]
pub struct Config {
    /// `PrivateKey`.
    pub private_key: StaticSecret,
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
#[derive(Clone)]
pub struct PeerConfig {
    /// `PublicKey`.
    pub public_key: PublicKey,
    /// `PresharedKey`.
    pub preshared_key: Option<[u8; 32]>,
    /// `AllowedIPs`.
    pub allowed_ips: Vec<IpNetwork>,
    /// `Endpoint`, as an address.
    pub endpoint: Option<SocketAddr>,
    /// `PersistentKeepalive`, in seconds.
    pub keepalive: Option<u16>,
}

/// A line that cannot be used, and what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ConfigError {
    /// The number of the line, from 1.
    pub line: usize,
    what: String,
}

/// A section so far, and the line where it starts.
#[derive(Default)]
struct PeerDraft {
    line: usize,
    public_key: Option<PublicKey>,
    preshared_key: Option<[u8; 32]>,
    allowed_ips: Vec<IpNetwork>,
    endpoint: Option<SocketAddr>,
    keepalive: Option<u16>,
}

#[derive(Default)]
struct Draft {
    private_key: Option<StaticSecret>,
    addresses: Vec<InterfaceAddress>,
    listen_port: u16,
    mtu: Option<Mtu>,
    mark: u32,
    peers: Vec<PeerDraft>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Interface,
    Peer,
}

impl Config {
    /// Parses a file. It resolves the names of endpoints, which may take time.
    ///
    /// # Errors
    ///
    /// The first line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let (mut draft, mut section) = (Draft::default(), Section::None);
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or_default().trim();
            let step = if content.is_empty() {
                Ok(())
            } else if content.starts_with('[') {
                section_of(content).map(|next| {
                    section = next;
                    if next == Section::Peer {
                        draft.peers.push(PeerDraft { line, ..PeerDraft::default() });
                    }
                })
            } else {
                content.split_once('=').ok_or_else(|| "write it as `Key = value`".to_owned()).and_then(
                    |(key, value)| {
                        draft
                            .set(section, key.trim(), value.trim())
                            .map_err(|what| format!("{}: {what}", key.trim()))
                    },
                )
            };
            step.map_err(|what| ConfigError { line, what })?;
        }
        draft.finish(text.lines().count().max(1))
    }
}

fn section_of(content: &str) -> Result<Section, String> {
    match content.to_ascii_lowercase().as_str() {
        "[interface]" => Ok(Section::Interface),
        "[peer]" => Ok(Section::Peer),
        _ => Err(format!("{content} is no section. There are [Interface] and [Peer]")),
    }
}

impl Draft {
    fn set(&mut self, section: Section, key: &str, value: &str) -> Result<(), String> {
        let peer = self.peers.last_mut();
        match (section, key.to_ascii_lowercase().as_str(), peer) {
            (Section::Interface, "privatekey", _) => self.private_key = Some(parse_key(value)?.into()),
            (Section::Interface, "address", _) => {
                for part in parts(value) {
                    self.addresses.push(address(part)?);
                }
            }
            (Section::Interface, "listenport", _) => {
                self.listen_port = value.parse().map_err(|_| range(value, "a port", 65_535))?;
            }
            (Section::Interface, "mtu", _) => {
                self.mtu = Some(value.parse().map_err(|error| format!("{error}"))?);
            }
            (Section::Interface, "fwmark", _) => self.mark = mark(value)?,
            (Section::Peer, "publickey", Some(peer)) => peer.public_key = Some(parse_key(value)?.into()),
            (Section::Peer, "presharedkey", Some(peer)) => peer.preshared_key = Some(parse_key(value)?),
            (Section::Peer, "allowedips", _) => self.allow(value)?,
            (Section::Peer, "endpoint", Some(peer)) => peer.endpoint = Some(endpoint(value)?),
            (Section::Peer, "persistentkeepalive", Some(peer)) => {
                let seconds = if value == "off" { Ok(0) } else { value.parse() };
                let seconds: u16 =
                    seconds.map_err(|_| range(value, "`off`, nor a number of seconds", 65_535))?;
                peer.keepalive = (seconds > 0).then_some(seconds);
            }
            (Section::None, ..) => {
                return Err("it is in no section. Write [Interface] or [Peer] above it".into());
            }
            (_, "dns" | "table" | "preup" | "postup" | "predown" | "postdown" | "saveconfig", _) => {
                return Err("it is for wg-quick, and not done here. Remove the line".into());
            }
            (Section::Interface, ..) => {
                return Err(
                    "it is unknown here. [Interface] has PrivateKey, Address, ListenPort, MTU, FwMark".into(),
                );
            }
            (Section::Peer, ..) => {
                return Err("it is unknown here. [Peer] has PublicKey, PresharedKey, AllowedIPs, Endpoint, \
                            PersistentKeepalive"
                    .into());
            }
        }
        Ok(())
    }

    fn allow(&mut self, value: &str) -> Result<(), String> {
        for part in parts(value) {
            let network = network(part)?;
            let owner = self.peers.iter().find(|peer| peer.allowed_ips.contains(&network));
            if let Some(PeerDraft { line, .. }) = owner {
                return Err(format!(
                    "{network} belongs to the peer of line {line}. A packet can go to one only: remove it from the other"
                ));
            }
            self.peers.last_mut().into_iter().for_each(|peer| peer.allowed_ips.push(network));
        }
        Ok(())
    }

    fn finish(self, last: usize) -> Result<Config, ConfigError> {
        let fail = |line, what: &str| ConfigError { line, what: what.to_owned() };
        let lost = "there is no PrivateKey in [Interface]. Make one: tunctl-vpn genkey";
        let private_key = self.private_key.ok_or_else(|| fail(last, lost))?;
        let mut peers: Vec<PeerConfig> = Vec::new();
        for PeerDraft { line, public_key, preshared_key, allowed_ips, endpoint, keepalive } in self.peers {
            let lost =
                "this [Peer] has no PublicKey. The peer prints it: tunctl-vpn pubkey < its private key";
            let public_key = public_key.ok_or_else(|| fail(line, lost))?;
            if peers.iter().any(|peer| peer.public_key == public_key) {
                return Err(fail(line, "another [Peer] has the same PublicKey. Write both as one"));
            }
            if public_key == PublicKey::from(&private_key) {
                return Err(fail(line, "the PublicKey is that of our own PrivateKey. Write the peer's"));
            }
            peers.push(PeerConfig { public_key, preshared_key, allowed_ips, endpoint, keepalive });
        }
        let Self { addresses, listen_port, mtu, mark, .. } = self;
        Ok(Config { private_key, addresses, listen_port, mtu, mark, peers })
    }
}

/// A key, from its text in base64. Errors do not show it.
///
/// # Errors
///
/// What it should be.
pub fn parse_key(text: &str) -> Result<[u8; 32], String> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        format!(
            "these {} characters are no key. A key is 44 characters of base64, the last one `=`",
            text.len()
        )
    })
}

fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn range(value: &str, what: &str, most: u32) -> String {
    format!("{value} is not {what}. Write one from 0 to {most}")
}

fn mark(value: &str) -> Result<u32, String> {
    let parsed = match value.strip_prefix("0x") {
        _ if value == "off" => Ok(0),
        Some(digits) => u32::from_str_radix(digits, 16),
        None => value.parse(),
    };
    parsed.map_err(|_| range(value, "`off`, nor a mark", u32::MAX))
}

/// Without a prefix length it is one host's.
fn split_prefix(text: &str) -> Result<(IpAddr, u8), String> {
    let (ip, length) = text.split_once('/').unwrap_or((text, ""));
    let ip: IpAddr =
        ip.parse().map_err(|_| format!("{ip} is no address. Write it as 10.0.0.1 or fd00::1"))?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let length = if text.contains('/') { length.parse().ok() } else { Some(most) };
    let length = length.filter(|length| *length <= most);
    length
        .map(|length| (ip, length))
        .ok_or_else(|| format!("{text}: behind the / is a number from 0 to {most}"))
}

fn address(text: &str) -> Result<InterfaceAddress, String> {
    let (ip, length) = split_prefix(text)?;
    InterfaceAddress::new(ip, length).map_err(|error| error.to_string())
}

fn network(text: &str) -> Result<IpNetwork, String> {
    let (ip, length) = split_prefix(text)?;
    IpNetwork::new_truncate(ip, length).map_err(|error| error.to_string())
}

fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let failed = |why: String| {
        format!("{text}: {why}. Write it as 192.0.2.1:51820, [2001:db8::1]:51820 or host:51820")
    };
    let mut found = text.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    found.next().ok_or_else(|| failed("the name has no address".to_owned()))
}

/// Without the keys.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("addresses", &self.addresses)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConfig").field("allowed_ips", &self.allowed_ips).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
