use std::thread;
use std::time::Instant;

use tunctl::mock::MockBackend;
use tunctl::{CreateOptions, TunBackend};
use tunctl_vpn::Vpn;
use tunctl_vpn::datagrams::{Datagrams, Endpoint, Received};

use super::*;

/// A socket to nowhere.
struct Deaf;

impl Datagrams for Deaf {
    fn recv(&self, _: &mut [u8]) -> io::Result<Received> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&self, _: Endpoint, _: &[u8], _: usize) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_answer_is_in_the_words_of_the_protocol() {
    let text_of = |keys: [[u8; 32]; 3]| keys.map(|key| Key(key).to_string());
    let [private, public, shared] = text_of([[1; 32], [0xab; 32], [3; 32]]);
    let config: Config = format!(
        "[Interface]\nPrivateKey = {private}\nListenPort = 51821\nFwMark = 7\n[Peer]\nPublicKey = {public}\nPresharedKey = {shared}\n\
         AllowedIPs = 10.8.0.0/24, fd08::/64\nEndpoint = [2001:db8::1]:51820\nPersistentKeepalive = 25\n"
    )
    .parse()
    .unwrap();
    let device = MockBackend::new().create(&CreateOptions::tun().vnet_header(true).up()).unwrap();
    let vpn = Vpn::new(&config, device, Deaf).unwrap();
    let expected = format!(
        "private_key={}\nlisten_port=51821\nfwmark=7\npublic_key={}\npreshared_key={}\n\
         endpoint=[2001:db8::1]:51820\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=148\n\
         rx_bytes=0\npersistent_keepalive_interval=25\nallowed_ip=10.8.0.0/24\nallowed_ip=fd08::/64\n\
         protocol_version=1\nerrno=0\n\n",
        "01".repeat(32),
        "ab".repeat(32),
        "03".repeat(32),
    );
    // It has called the peer that it shall keep alive.
    assert_eq!(text(&config, vpn.peers(), Duration::from_secs(100)), expected);
}

#[test]
fn a_question_that_dawdles_is_not_waited_for() {
    let (mut asking, asked) = UnixStream::pair().unwrap();
    let writer = thread::spawn(move || {
        for _ in 0..20 {
            let _ = asking.write_all(b"g");
            thread::sleep(PATIENCE / 2);
        }
    });
    let start = Instant::now();
    let _ = answer(asked, String::new);
    let waited = start.elapsed();
    writer.join().unwrap();
    assert!(waited < PATIENCE * 4, "{waited:?}");
}
