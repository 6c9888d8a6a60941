//! A running helper, and what became of it.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use tunctl_helper::protocol::{Granted, Refusal, Reply};
use tunctl_sys::linux::tun;
use tunctl_testing::link;

use super::signal_to;

/// No helper takes longer: its own limit is 10 seconds.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    socket: OwnedFd,
    started: Instant,
}

impl Helper {
    /// A pair of sockets as the helper wants it: ours, and its own.
    pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    /// Starts a command that is the helper, or becomes it.
    pub(crate) fn spawn(mut command: Command, socket: OwnedFd) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, socket, started: Instant::now() }
    }

    /// The number of the process that was started.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Sends a datagram. A helper that has ended already, or refuses before it reads, doesn't take it.
    pub(crate) fn send(&self, bytes: &[u8]) {
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(errno) => panic!("send a request: {errno}"),
        }
    }

    /// Sends a datagram with descriptors.
    pub(crate) fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = vec![MaybeUninit::uninit(); 64 + 4 * descriptors.len()];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    /// Hangs up, and waits for the end: its status.
    pub(crate) fn hang_up(self) -> ExitStatus {
        self.hang_up_and(|| {})
    }

    /// Hangs up, does something, and waits for the end: its status.
    pub(crate) fn hang_up_and(self, then: impl FnOnce()) -> ExitStatus {
        let Self { mut child, socket, started } = self;
        drop(socket);
        then();
        wait(&mut child, started)
    }

    /// Waits for the end, without reading what it sends: its status.
    pub(crate) fn end(mut self) -> ExitStatus {
        wait(&mut self.child, self.started)
    }

    /// Waits until the helper waits for its request: it has its filter of system calls, and sleeps.
    pub(crate) fn is_ready(&self) {
        let started = Instant::now();
        let path = format!("/proc/{}/status", self.pid());
        loop {
            let status = fs::read_to_string(&path).unwrap_or_default();
            if status.contains("Seccomp:\t2") && status.contains("State:\tS") {
                return;
            }
            assert!(started.elapsed().as_secs() < 8, "the helper never waits for a request: {status}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Everything that it sends, until it has ended.
    pub(crate) fn answer(self) -> Answer {
        let Self { mut child, socket, started } = self;
        set_socket_timeout(&socket, Timeout::Recv, Some(LIMIT)).unwrap();
        let mut datagrams = Vec::new();
        let mut descriptors = Vec::new();
        while let Some(bytes) = receive(&socket, &mut descriptors) {
            datagrams.push(bytes);
        }
        let status = wait(&mut child, started);
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(printed, "", "it writes nothing there");
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        Answer { datagrams, descriptors, status, complaint, took: started.elapsed() }
    }
}

/// The next datagram; `None` if the other end has gone.
fn receive(socket: &OwnedFd, descriptors: &mut Vec<OwnedFd>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let mut space = [MaybeUninit::uninit(); 256];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let into = &mut [IoSliceMut::new(&mut bytes)];
        match recvmsg(socket, into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            // Reported once, and before what was sent, if the helper ended without reading everything
            // (`unix_release_sock`).
            Err(Errno::CONNRESET | Errno::INTR) => {}
            Err(Errno::AGAIN) => panic!("the helper neither replies nor ends, past its time limit"),
            Err(errno) => panic!("wait for a reply: {errno}"),
            Ok(received) => break received.bytes,
        }
    };
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
            _ => panic!("the helper sends something else than descriptors"),
        }
    }
    bytes.truncate(received);
    (received > 0).then_some(bytes)
}

fn wait(child: &mut Child, started: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the helper runs longer than its limit");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What became of a helper.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) status: ExitStatus,
    /// What it wrote to its standard error.
    pub(crate) complaint: String,
    pub(crate) took: Duration,
}

impl Answer {
    /// What it replied, if it replied.
    #[track_caller]
    pub(crate) fn reply(&self) -> Option<Reply> {
        assert!(self.datagrams.len() <= 1, "more than one reply: {self:?}");
        let reply = self.datagrams.first().map(|bytes| Reply::from_bytes(bytes).expect("it is a reply"));
        let expected = usize::from(matches!(reply, Some(Reply::Granted(_))));
        assert_eq!(self.descriptors.len(), expected, "a descriptor comes with what is granted: {self:?}");
        reply
    }

    /// Fails the case unless it was refused, for this reason.
    #[track_caller]
    pub(crate) fn is_refused(&self, expected: Refusal) {
        assert_eq!(self.refusal(), expected);
    }

    /// Why it was refused.
    #[track_caller]
    pub(crate) fn refusal(&self) -> Refusal {
        match self.reply() {
            Some(Reply::Refused(refusal)) => {
                assert_eq!((self.status.code(), &*self.complaint), (Some(0), ""), "{self:?}");
                refusal
            }
            _ => panic!("it was not refused: {self:?}"),
        }
    }

    /// The name of the interface that was granted, once the kernel has confirmed what the helper says.
    #[track_caller]
    pub(crate) fn granted(&self) -> String {
        let Some(Reply::Granted(Granted { index, name, flags })) = self.reply() else {
            panic!("it was not granted: {self:?}");
        };
        assert_eq!((self.status.code(), &*self.complaint), (Some(0), ""), "{self:?}");
        let reported = tun::iff(self.device()).unwrap();
        let name = name.split(|&byte| byte == 0).next().unwrap();
        assert_eq!(reported.name(), name, "the descriptor's interface");
        let name = String::from_utf8(name.to_vec()).unwrap();
        let link = link(&name).unwrap_or_else(|| panic!("{name} is in the caller's namespace"));
        assert_eq!(link["ifindex"], index);
        assert_eq!(link["linkinfo"]["info_kind"], "tun");
        assert_eq!(reported.flags() & flags, flags, "{:#x} {flags:#x}", reported.flags());
        name
    }

    /// The device that came with the reply.
    pub(crate) fn device(&self) -> BorrowedFd<'_> {
        self.descriptors.first().expect("a descriptor came").as_fd()
    }

    /// Fails the case unless the helper refused to talk, because its standard input is no socket for that.
    #[track_caller]
    pub(crate) fn is_not_spoken_to(&self) {
        assert_eq!(self.status.code(), Some(2), "{self:?}");
        assert_eq!(self.complaint.lines().count(), 1, "{self:?}");
        assert!(self.complaint.is_ascii() && self.complaint.contains("tunctl helper --help"), "{self:?}");
    }

    /// The signal that killed it, if one did.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.status.signal().map(|number| Signal::try_from(number).unwrap())
    }
}
