//! The typed `ioctl` seam: opcode, argument type, direction and driver are declared together.
//!
//! `ioctl(2)` takes any number, any argument and any file. A library that passes a pointer where the driver
//! expects an integer gets "success", and the owner of its interface is then half of a stack address. Here a
//! request is a constant whose type says how its argument travels; the declaration is `unsafe` and carries
//! the proof, and each call of it is safe:
//!
//! | type | argument | the driver |
//! |---|---|---|
//! | [`ByValue<D>`] | a C `int`, in place of the pointer | uses the integer |
//! | [`Setter<D, T>`] | `&T` | reads a `T` |
//! | [`Getter<D, T>`] | none; a `T` is returned | writes a `T` |
//! | [`Exchange<D, T>`] | `&mut T` | reads a `T`, then writes it |
//!
//! What a driver does with a number is its own decision: two drivers may use one number for different things,
//! and a file of a FUSE file system accepts all numbers. So a declaration proves its request for one driver,
//! the [`Driver`] `D`, and each call first checks that the file is this driver's. Any descriptor may be
//! passed; for another driver's file the call fails with `ENOTTY`, and no request is made. A [`DriverFile`]
//! was checked when it was made, and is not checked again.
#![allow(unsafe_code, reason = "this module is the one place that calls ioctl(2)")]

use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// The number of an `ioctl` request, as the system's headers compute it.
///
/// Its width is that of the requests themselves; `libc` functions take it as an `int` or a `long`, by system.
pub type Opcode = u32;

/// A driver whose files can be recognised.
///
/// # Safety
///
/// If [`answers`](Self::answers) returns `true`, the requests that are declared for this driver, made to that
/// file, are answered by this driver and by no other code.
pub unsafe trait Driver {
    /// Whether this driver answers the requests that are made to the file.
    ///
    /// # Errors
    ///
    /// The errno of the system call that asks.
    fn answers(fd: BorrowedFd<'_>) -> io::Result<bool>;
}

/// An open file of the driver `D`.
pub struct DriverFile<D> {
    fd: OwnedFd,
    driver: PhantomData<fn(D)>,
}

impl<D: Driver> DriverFile<D> {
    /// Checks once that the file is the driver's.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: it is another driver's; those of [`Driver::answers`]. The descriptor comes back.
    pub fn new(fd: OwnedFd) -> Result<Self, (OwnedFd, io::Error)> {
        match checked::<D>(fd.as_fd()) {
            Ok(_) => Ok(Self { fd, driver: PhantomData }),
            Err(error) => Err((fd, error)),
        }
    }

    /// Another descriptor of the same open file.
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, driver: PhantomData })
    }
}

impl<D> AsFd for DriverFile<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<D> AsRawFd for DriverFile<D> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl<D> From<DriverFile<D>> for OwnedFd {
    fn from(file: DriverFile<D>) -> Self {
        file.fd
    }
}

impl<D> fmt::Debug for DriverFile<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DriverFile").field(&self.fd).finish()
    }
}

/// What requests of the driver `D` are made to: a [`DriverFile`], or any descriptor, which each request then
/// checks.
pub trait DriverFd<D>: sealed::DriverFd<D> {}

impl<D: Driver> DriverFd<D> for BorrowedFd<'_> {}
impl<D: Driver> DriverFd<D> for &DriverFile<D> {}

mod sealed {
    use super::{AsFd, BorrowedFd, Driver, DriverFile, checked, io};

    /// Sealed, because [`super::raw`] trusts the answer.
    pub trait DriverFd<D>: Copy {
        /// The descriptor, if `D` answers the requests that are made to it.
        fn checked(&self) -> io::Result<BorrowedFd<'_>>;
    }

    impl<D: Driver> DriverFd<D> for BorrowedFd<'_> {
        fn checked(&self) -> io::Result<BorrowedFd<'_>> {
            checked::<D>(*self)
        }
    }

    impl<D: Driver> DriverFd<D> for &DriverFile<D> {
        fn checked(&self) -> io::Result<BorrowedFd<'_>> {
            Ok(self.as_fd())
        }
    }
}

fn checked<D: Driver>(fd: BorrowedFd<'_>) -> io::Result<BorrowedFd<'_>> {
    if D::answers(fd)? { Ok(fd) } else { Err(io::Error::from_raw_os_error(libc::ENOTTY)) }
}

/// A request whose argument is an integer passed in place of the pointer.
///
/// Such a request is often *declared* in C as though it took a pointer (`_IOW('T', 203, int)`).
pub struct ByValue<D> {
    opcode: Opcode,
    driver: PhantomData<fn(D)>,
}

impl<D: Driver> ByValue<D> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// If `D` answers `opcode`, it must use the argument as an integer, never as an address.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, driver: PhantomData }
    }

    /// Makes the call and returns the driver's answer, which for most requests is 0.
    ///
    /// # Errors
    ///
    /// The driver's errno; `ENOTTY` if the file is not the driver's.
    pub fn call(self, fd: impl DriverFd<D>, value: c_int) -> io::Result<c_int> {
        // Drivers that declare an `int` take back the low 32 bits, so a negative value survives the widening.
        #[allow(clippy::cast_sign_loss, reason = "the driver takes the sign back, as said above")]
        let argument = ptr::without_provenance_mut(value as usize);
        // SAFETY: the declaration guarantees that `D` never dereferences the argument.
        unsafe { raw::<D>(fd, self.opcode, argument) }
    }
}

/// A request that hands the driver a `T` to read.
pub struct Setter<D, T> {
    opcode: Opcode,
    driver: PhantomData<fn(D)>,
    argument: PhantomData<fn(&T)>,
}

impl<D: Driver, T> Setter<D, T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// If `D` answers `opcode`, it must treat the argument as the address of a `T`, read at most
    /// `size_of::<T>()` bytes there, write none, and not keep the address. `T` must have no padding.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, driver: PhantomData, argument: PhantomData }
    }

    /// Makes the call and returns the driver's answer, which for most requests is 0.
    ///
    /// # Errors
    ///
    /// The driver's errno; `ENOTTY` if the file is not the driver's.
    pub fn call(self, fd: impl DriverFd<D>, value: &T) -> io::Result<c_int> {
        // SAFETY: the address is that of an initialised `T`, borrowed for the length of the call; the
        // declaration guarantees that `D` only reads its bytes, and writes nothing through the shared borrow.
        unsafe { raw::<D>(fd, self.opcode, ptr::from_ref(value).cast_mut().cast()) }
    }
}

/// A request by which the driver fills in a `T`.
pub struct Getter<D, T> {
    opcode: Opcode,
    driver: PhantomData<fn(D)>,
    argument: PhantomData<fn() -> T>,
}

impl<D: Driver, T: Default> Getter<D, T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// If `D` answers `opcode`, it must treat the argument as the address of a `T`, read and write at most
    /// `size_of::<T>()` bytes there, leave a valid `T`, and not keep the address. `T` must have no padding.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, driver: PhantomData, argument: PhantomData }
    }

    /// Makes the call and returns what the driver wrote.
    ///
    /// # Errors
    ///
    /// The driver's errno; `ENOTTY` if the file is not the driver's.
    pub fn call(self, fd: impl DriverFd<D>) -> io::Result<T> {
        let mut value = T::default();
        // SAFETY: the address is that of an initialised `T` which this function owns; the declaration
        // guarantees that `D` only touches its bytes and leaves a valid `T`.
        unsafe { raw::<D>(fd, self.opcode, ptr::from_mut(&mut value).cast()) }?;
        Ok(value)
    }
}

/// A request that reads a `T` and writes its answer over it.
pub struct Exchange<D, T> {
    opcode: Opcode,
    driver: PhantomData<fn(D)>,
    argument: PhantomData<fn(&mut T)>,
}

impl<D: Driver, T> Exchange<D, T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// If `D` answers `opcode`, it must treat the argument as the address of a `T`, read and write at most
    /// `size_of::<T>()` bytes there, leave a valid `T`, and not keep the address. `T` must have no padding.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, driver: PhantomData, argument: PhantomData }
    }

    /// Makes the call and returns the driver's answer; `value` then holds what the driver wrote.
    ///
    /// # Errors
    ///
    /// The driver's errno; `value` is then unspecified. `ENOTTY` if the file is not the driver's.
    pub fn call(self, fd: impl DriverFd<D>, value: &mut T) -> io::Result<c_int> {
        // SAFETY: the address is that of an initialised `T`, borrowed exclusively for the length of the call;
        // the declaration guarantees that `D` only touches its bytes and leaves a valid `T`.
        unsafe { raw::<D>(fd, self.opcode, ptr::from_mut(value).cast()) }
    }
}

/// # Safety
///
/// `argument` must be what `D` expects for `opcode`: an integer in place of a pointer, or the address of
/// memory that stays valid, for reading or writing as that request does, until the call returns.
unsafe fn raw<D: Driver>(fd: impl DriverFd<D>, opcode: Opcode, argument: *mut c_void) -> io::Result<c_int> {
    let fd = fd.checked()?;
    // SAFETY: `fd` is open for the length of the borrow, and `D` answers for it: it was just checked, or is
    // the file of a `DriverFile`, which was checked and is another one only after it is dropped. The caller
    // vouches for the argument. The opcode's type is `long` or `int` by C library, and its 32 bits fit both.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), opcode as _, argument) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

macro_rules! copy_and_debug {
    ($($request:ident<$($parameter:ident),*>;)*) => {$(
        // Written by hand: a derive would require the trait of the parameters too, although a request holds
        // no value of them.
        impl<$($parameter),*> Clone for $request<$($parameter),*> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<$($parameter),*> Copy for $request<$($parameter),*> {}
        impl<$($parameter),*> fmt::Debug for $request<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($request), "({:#x})"), self.opcode)
            }
        }
    )*};
}
copy_and_debug! {
    ByValue<D>;
    Setter<D, T>;
    Getter<D, T>;
    Exchange<D, T>;
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[allow(
        clippy::cast_possible_truncation,
        clippy::unnecessary_cast,
        reason = "it has 32 bits, in a long or an int"
    )]
    const FIONREAD: Opcode = libc::FIONREAD as Opcode;

    struct Sockets;

    // SAFETY: the one file of this test is a socket.
    unsafe impl Driver for Sockets {
        fn answers(_: BorrowedFd<'_>) -> io::Result<bool> {
            Ok(true)
        }
    }

    struct NoFile;

    // SAFETY: it answers for no file.
    unsafe impl Driver for NoFile {
        fn answers(_: BorrowedFd<'_>) -> io::Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn a_request_does_not_reach_the_file_of_another_driver() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[1, 2, 3]).unwrap();
        // SAFETY: a socket writes an `int`.
        let of_sockets = unsafe { Getter::<Sockets, c_int>::new(FIONREAD) };
        assert_eq!(of_sockets.call(near.as_fd()).unwrap(), 3);
        // SAFETY: nothing answers it.
        let of_no_file = unsafe { Getter::<NoFile, c_int>::new(FIONREAD) };
        assert_eq!(of_no_file.call(near.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn a_file_is_its_drivers_or_comes_back() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[1, 2, 3]).unwrap();
        let number = near.as_raw_fd();
        let (fd, error) = DriverFile::<NoFile>::new(near.into()).unwrap_err();
        assert_eq!((fd.as_raw_fd(), error.raw_os_error()), (number, Some(libc::ENOTTY)));
        let file = DriverFile::<Sockets>::new(fd).unwrap();
        // SAFETY: a socket writes an `int`.
        let of_sockets = unsafe { Getter::<Sockets, c_int>::new(FIONREAD) };
        assert_eq!(of_sockets.call(&file).unwrap(), 3);
        assert_eq!(of_sockets.call(&file.try_clone().unwrap()).unwrap(), 3);
        assert_eq!(OwnedFd::from(file).as_raw_fd(), number);
    }
}
