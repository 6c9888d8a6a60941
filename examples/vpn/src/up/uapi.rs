//! WireGuard's user-space interface, by which `wg show` asks: text, over a UNIX socket. It answers, and
//! changes nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::{Mode, umask};
use tunctl_vpn::Peer;
use tunctl_vpn::config::{Config, Key};

/// Where wg(8) looks.
const FOLDER: &str = "/var/run/wireguard";
/// How long a question may take to arrive, and its answer to leave: nothing else is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where the socket of an interface is.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{name}.sock"))
}

/// Listens for questions about this interface, in place of a program that was killed: it does not answer.
pub(crate) fn listen(name: &str) -> io::Result<UnixListener> {
    fs::create_dir_all(FOLDER)?;
    UnixStream::connect(path(name)).map_or(Ok(()), |_| Err(io::Error::from(io::ErrorKind::AddrInUse)))?;
    let _ = fs::remove_file(path(name));
    // A program that can connect gets the private key.
    let before = umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let listener = UnixListener::bind(path(name));
    umask(before);
    listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
}

/// Answers a program that asks.
pub(crate) fn answer(mut stream: UnixStream, text: impl FnOnce() -> String) -> io::Result<usize> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // One read and one write: who dawdles between the bytes would have the VPN wait for each.
    let mut question = [0; 1 << 12];
    let length = stream.read(&mut question)?;
    // `EOPNOTSUPP` to all else: it is configured by its file.
    let is_get = question[..length].starts_with(b"get=1\n");
    stream.write(if is_get { text() } else { "errno=95\n\n".into() }.as_bytes())
}

/// The answer. `now` is the time that dates the peers' handshakes.
pub(crate) fn text(config: &Config, peers: &[Peer], now: Duration) -> String {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(now);
    let hex = |key: Key| key.0.map(|byte| format!("{byte:02x}")).concat();
    let mut text = format!("private_key={}\n", hex(config.private_key));
    text += &format!("listen_port={}\nfwmark={}\n", config.listen_port, config.mark);
    for Peer { config, endpoint, last_handshake, received, sent, .. } in peers {
        text += &format!("public_key={}\n", hex(config.public_key));
        text += &format!("preshared_key={}\n", hex(config.preshared_key.unwrap_or_default()));
        text += &endpoint.map(|endpoint| format!("endpoint={}\n", endpoint.remote)).unwrap_or_default();
        let last = last_handshake.map_or(Duration::ZERO, |last| started + last);
        text += &format!("last_handshake_time_sec={}\n", last.as_secs());
        text += &format!("last_handshake_time_nsec={}\n", last.subsec_nanos());
        text += &format!("tx_bytes={sent}\nrx_bytes={received}\n");
        text += &format!("persistent_keepalive_interval={}\n", config.keepalive);
        text.extend(config.allowed_ips.iter().map(|network| format!("allowed_ip={network}\n")));
        text += "protocol_version=1\n";
    }
    text + "errno=0\n\n"
}

#[cfg(test)]
mod tests;
