//! What hosts send each other, and whether it arrives as it was.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tunctl::linux::Namespace;

use super::lab::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a ping is answered within a second.
pub(crate) fn is_answered(host: &Namespace, to: &str) -> bool {
    let mut command = host.command("ping");
    command.args(["-c1", "-W1", to]).stdout(Stdio::null()).status().unwrap().success()
}

/// Pings until there is an answer.
pub(crate) fn reach(host: &Namespace, to: &str) {
    wait_until(&format!("{to} answers"), || is_answered(host, to));
}

/// Bytes in which no part is like another.
fn content(seed: u32, length: usize) -> Vec<u8> {
    let word = |n: u32| (n ^ seed << 28).wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes();
    (0..).flat_map(word).take(length).collect()
}

/// Sends so many bytes each way at once, by TCP, and compares what arrives.
pub(crate) fn exchange(from: &Namespace, at: &Namespace, address: &str, length: usize) {
    let address: IpAddr = address.parse().unwrap();
    let listener = at.run(|| TcpListener::bind((address, 0)).unwrap()).unwrap();
    let to = listener.local_addr().unwrap();
    let client = from.run(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    thread::scope(|scope| {
        for (stream, seed) in [(&client, 1), (&server, 2)] {
            scope.spawn(move || {
                let mut stream = stream;
                stream.write_all(&content(seed, length)).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
        }
        for (stream, seed) in [(&client, 2), (&server, 1)] {
            scope.spawn(move || {
                let mut stream = stream;
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut arrived = Vec::new();
                stream.read_to_end(&mut arrived).unwrap();
                assert!(arrived == content(seed, length), "{} of {length} bytes", arrived.len());
            });
        }
    });
}

/// Sends datagrams of many lengths there and back, by UDP, and compares each. Those longer than the MTU are
/// fragments on the way.
pub(crate) fn echo(from: &Namespace, at: &Namespace, address: &str) {
    let address: IpAddr = address.parse().unwrap();
    let server = at.run(|| UdpSocket::bind((address, 0)).unwrap()).unwrap();
    let to: SocketAddr = server.local_addr().unwrap();
    let client =
        from.run(|| UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap()).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut room = vec![0; 1 << 16];
    for length in (0..1400).step_by(97).chain([1372, 1373, 3000, 20_000]) {
        let sent = content(3, length);
        client.send_to(&sent, to).unwrap();
        let (arrived, sender) = server.recv_from(&mut room).unwrap();
        assert!(room[..arrived] == sent, "{length} bytes there");
        server.send_to(&room[..arrived], sender).unwrap();
        let arrived = client.recv(&mut room).unwrap();
        assert!(room[..arrived] == sent, "{length} bytes back");
    }
}
