//! WireGuard's user-space interface, by which `wg show` asks: text, over a UNIX socket. It answers, and
//! changes nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tunctl::{InterfaceName, TunDevice};

use crate::config::Config;
use crate::datagrams::Datagrams;
use crate::{Peer, Vpn};

/// Where wg(8) looks.
const FOLDER: &str = "/var/run/wireguard";
/// How long a question may take to arrive: nothing else is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);
/// `-EOPNOTSUPP`: it is configured by its file.
const UNSUPPORTED: &str = "errno=-95\n\n";

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct Uapi {
    listener: UnixListener,
    path: PathBuf,
}

impl Uapi {
    /// Listens for this interface. What a program has left there that was killed is replaced.
    ///
    /// # Errors
    ///
    /// The folder is root's.
    pub fn listen(name: InterfaceName) -> io::Result<Self> {
        fs::create_dir_all(FOLDER)?;
        let path = Path::new(FOLDER).join(format!("{name}.sock"));
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// Answers the next program that asks.
    ///
    /// # Errors
    ///
    /// It does not ask, or does not listen.
    pub fn answer<D: TunDevice, S: Datagrams>(
        &self,
        vpn: &Vpn<D, S>,
        config: &Config,
        port: u16,
        now: Duration,
    ) -> io::Result<()> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut question = String::new();
        BufReader::new(&stream).read_line(&mut question)?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(now);
        let answer = match question.trim_end() {
            "get=1" => text(config, port, vpn.peers(), started),
            _ => UNSUPPORTED.to_owned(),
        };
        stream.write_all(answer.as_bytes())
    }
}

impl Drop for Uapi {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl AsFd for Uapi {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The answer. `started` is the moment from which the times of handshakes count, since 1970.
fn text(config: &Config, port: u16, peers: &[Peer], started: Duration) -> String {
    let mut text = format!("private_key={}\nlisten_port={port}\n", hex(config.private_key.as_bytes()));
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // To a string it does not fail.
        let _ = writeln!(text, "{key}={value}");
    };
    if config.mark != 0 {
        line("fwmark", &config.mark);
    }
    for peer in peers {
        line("public_key", &hex(peer.config.public_key.as_bytes()));
        line("preshared_key", &hex(&peer.config.preshared_key.unwrap_or_default()));
        line("protocol_version", &1);
        if let Some(endpoint) = peer.endpoint {
            line("endpoint", &endpoint.remote);
        }
        let last = peer.last_handshake.map_or(Duration::ZERO, |last| started + last);
        line("last_handshake_time_sec", &last.as_secs());
        line("last_handshake_time_nsec", &last.subsec_nanos());
        line("tx_bytes", &peer.sent);
        line("rx_bytes", &peer.received);
        line("persistent_keepalive_interval", &peer.config.keepalive.unwrap_or(0));
        for network in &peer.config.allowed_ips {
            line("allowed_ip", network);
        }
    }
    text + "errno=0\n\n"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
