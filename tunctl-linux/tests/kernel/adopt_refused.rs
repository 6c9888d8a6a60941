//! What is no attached device is refused, and given back as it was.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, fcntl};
use tunctl_core::{Adopt, Cause, Error};
use tunctl_sys::linux::{iff, tun as driver};
use tunctl_testing::{Case, case, exists, ip, is_close_on_exec, open_files};

use super::adopt::raw;
use super::support::backend;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_file_of_another_kind_is_refused),
        case!(a_descriptor_that_is_attached_to_nothing_is_refused),
        case!(a_header_of_a_length_that_nobody_defines_is_refused),
        case!(without_room_for_another_file_the_descriptor_comes_back),
    ]
}

/// Refuses it, and gives it back as it was: the error.
#[track_caller]
fn refused(fd: OwnedFd, cause: Cause) -> (Error, OwnedFd) {
    fcntl(&fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let flags = fcntl(&fd, FcntlArg::F_GETFL).unwrap();
    let before = open_files();
    let failed = backend().adopt(fd).map(drop).unwrap_err();
    let error = failed.error().clone();
    assert_eq!(error.cause(), cause, "{error}");
    assert!(error.remedy().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    assert!(error.to_string().starts_with("adopt the descriptor"), "{error}");
    let fd = failed.into_fd();
    assert_eq!(open_files(), before);
    assert_eq!(fcntl(&fd, FcntlArg::F_GETFL).unwrap(), flags);
    assert!(!is_close_on_exec(&fd));
    (error, fd)
}

fn a_file_of_another_kind_is_refused() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let files: [OwnedFd; 6] = [
        File::open("/proc/self/exe").unwrap().into(),
        File::open("/dev/null").unwrap().into(),
        File::open("/proc/thread-self/ns/net").unwrap().into(),
        socket.into(),
        reader,
        writer,
    ];
    for file in files {
        let (error, _) = refused(file, Cause::ForeignDescriptor);
        assert_eq!(error.interface(), None);
    }
}

fn a_descriptor_that_is_attached_to_nothing_is_refused() {
    let node = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    let (_, node) = refused(node.into(), Cause::NotAttached);
    // It can still be attached.
    let mut request = tunctl_sys::linux::InterfaceRequest::new(b"tun0", iff::TUN).unwrap();
    driver::set_iff(node.as_fd(), &mut request).unwrap();
    assert!(exists("tun0"));
    let device = backend().adopt(node).unwrap();
    ip("link delete dev tun0");
    let (error, fd) = refused(device.into(), Cause::NotAttached);
    assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EBADFD as i32));
    drop(fd);
}

fn a_header_of_a_length_that_nobody_defines_is_refused() {
    let fd = raw("tun0", iff::TUN | iff::NO_PI | iff::VNET_HDR);
    driver::set_vnet_header_size(fd.as_fd(), 16).unwrap();
    let (error, fd) = refused(fd, Cause::HeaderMismatch);
    assert!(error.to_string().contains("16 bytes"), "{error}");
    assert_eq!(driver::vnet_header_size(fd.as_fd()).unwrap(), 16);
    driver::set_vnet_header_size(fd.as_fd(), 12).unwrap();
    backend().adopt(fd).unwrap();
    assert!(!exists("tun0"));
}

fn without_room_for_another_file_the_descriptor_comes_back() {
    let mut fd = raw("tun0", iff::TUN | iff::NO_PI);
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    let mut needed = 0;
    loop {
        match backend().adopt(fd) {
            Ok(device) => {
                drop(files);
                assert!(exists("tun0"));
                drop(device);
                break;
            }
            Err(failed) => {
                assert_eq!(failed.error().cause(), Cause::TooManyOpenFiles, "{failed}");
                fd = failed.into_fd();
            }
        }
        files.pop().expect("there is room in the end");
        needed += 1;
    }
    assert!(needed > 0, "a device has a netlink socket");
    assert!(!exists("tun0"));
}
