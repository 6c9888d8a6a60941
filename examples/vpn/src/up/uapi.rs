//! WireGuard's user-space interface, by which `wg show` asks: text, over a UNIX socket. It answers, and
//! changes nothing.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::{Mode, umask};
use tunctl_vpn::Peer;
use tunctl_vpn::config::{Config, Key};

/// Where wg(8) looks.
const FOLDER: &str = "/var/run/wireguard";
/// How long a question may take to arrive: nothing else is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);
/// `EOPNOTSUPP`: it is configured by its file.
const UNSUPPORTED: &str = "errno=95\n\n";

/// The socket, which is removed when this is dropped.
pub(crate) struct Uapi {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Uapi {
    /// Listens for questions about this interface, in place of a program that was killed.
    pub(crate) fn listen(name: &str) -> io::Result<Self> {
        fs::create_dir_all(FOLDER)?;
        let path = Path::new(FOLDER).join(format!("{name}.sock"));
        let _ = fs::remove_file(&path);
        // A program that can connect gets the private key.
        let before = umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let listener = UnixListener::bind(&path);
        umask(before);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// Answers the next program that asks. `now` is the time that dates the peers' handshakes.
    pub(crate) fn answer(&self, config: &Config, port: u16, peers: &[Peer], now: Duration) -> io::Result<()> {
        let (mut stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut question = String::new();
        BufReader::new(&stream).read_line(&mut question)?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(now);
        let answer =
            if question == "get=1\n" { text(config, port, peers, started) } else { UNSUPPORTED.into() };
        stream.write_all(answer.as_bytes())
    }
}

impl Drop for Uapi {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The answer. `started` is the moment from which the times of handshakes count, since 1970.
fn text(config: &Config, port: u16, peers: &[Peer], started: Duration) -> String {
    let hex = |key: Key| key.0.map(|byte| format!("{byte:02x}")).concat();
    let mut text =
        format!("private_key={}\nlisten_port={port}\nfwmark={}\n", hex(config.private_key), config.mark);
    for Peer { config, endpoint, last_handshake, received, sent, .. } in peers {
        text += &format!("public_key={}\n", hex(config.public_key));
        text += &format!("preshared_key={}\n", hex(config.preshared_key.unwrap_or_default()));
        if let Some(endpoint) = endpoint {
            text += &format!("endpoint={}\n", endpoint.remote);
        }
        let last = last_handshake.map_or(Duration::ZERO, |last| started + last);
        text += &format!("last_handshake_time_sec={}\n", last.as_secs());
        text += &format!("last_handshake_time_nsec={}\n", last.subsec_nanos());
        text += &format!("tx_bytes={sent}\nrx_bytes={received}\n");
        text += &format!("persistent_keepalive_interval={}\n", config.keepalive);
        for network in &config.allowed_ips {
            text += &format!("allowed_ip={network}\n");
        }
        text += "protocol_version=1\n";
    }
    text + "errno=0\n\n"
}

#[cfg(test)]
mod tests;
