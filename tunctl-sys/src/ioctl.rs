//! The typed `ioctl` seam: opcode, argument type and direction are declared together.
//!
//! `ioctl(2)` takes any number with any argument. A library that passes a pointer where the driver expects an
//! integer is told "success", and the owner of its interface is then half of a stack address. Here a request is
//! a constant whose type says how its argument travels; the declaration is `unsafe` and carries the proof, and
//! each call of it is safe:
//!
//! | type | argument | the driver |
//! |---|---|---|
//! | [`ByValue`] | a C `int`, in place of the pointer | uses the integer |
//! | [`Setter<T>`] | `&T` | reads a `T` |
//! | [`Getter<T>`] | none; a `T` is returned | writes a `T` |
//! | [`Exchange<T>`] | `&mut T` | reads a `T`, then writes it |
#![allow(unsafe_code, reason = "this module is the one place that calls ioctl(2)")]

use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// The number of an `ioctl` request, as the system's headers compute it.
///
/// Its width is that of the requests themselves; `libc` functions take it as an `int` or a `long`, by system.
pub type Opcode = u32;

/// A request whose argument is an integer passed in place of the pointer.
///
/// Such a request is often *declared* in C as though it took a pointer (`_IOW('T', 203, int)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByValue {
    opcode: Opcode,
}

impl ByValue {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode` must use its argument as an integer, never as an address.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode }
    }

    /// Makes the call and returns the driver's answer, which for most requests is 0.
    ///
    /// # Errors
    ///
    /// The driver's errno.
    pub fn call(self, fd: BorrowedFd<'_>, value: c_int) -> io::Result<c_int> {
        // Drivers that declare an `int` take back the low 32 bits, so a negative value survives the widening.
        let argument = ptr::without_provenance_mut((value as isize).cast_unsigned());
        // SAFETY: the declaration guarantees that the argument is never dereferenced.
        unsafe { raw(fd, self.opcode, argument) }
    }
}

/// A request that hands the driver a `T` to read.
pub struct Setter<T> {
    opcode: Opcode,
    argument: PhantomData<fn(&T)>,
}

impl<T> Setter<T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode` must treat its argument as the address of a `T` and read at most
    /// `size_of::<T>()` bytes there, write none, and not keep the address. `T` must have no padding.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, argument: PhantomData }
    }

    /// Makes the call and returns the driver's answer, which for most requests is 0.
    ///
    /// # Errors
    ///
    /// The driver's errno.
    pub fn call(self, fd: BorrowedFd<'_>, value: &T) -> io::Result<c_int> {
        // SAFETY: the address is that of an initialised `T`, borrowed for the length of the call; the declaration
        // guarantees that only its bytes are read, and that nothing is written through the shared borrow.
        unsafe { raw(fd, self.opcode, ptr::from_ref(value).cast_mut().cast()) }
    }
}

/// A request by which the driver fills in a `T`.
pub struct Getter<T> {
    opcode: Opcode,
    argument: PhantomData<fn() -> T>,
}

impl<T: Default> Getter<T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode` must treat its argument as the address of a `T`, read and write at most
    /// `size_of::<T>()` bytes there, leave a valid `T`, and not keep the address.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, argument: PhantomData }
    }

    /// Makes the call and returns what the driver wrote.
    ///
    /// # Errors
    ///
    /// The driver's errno.
    pub fn call(self, fd: BorrowedFd<'_>) -> io::Result<T> {
        let mut value = T::default();
        // SAFETY: the address is that of an initialised `T` which this function owns; the declaration guarantees
        // that only its bytes are touched and that a valid `T` is left.
        unsafe { raw(fd, self.opcode, ptr::from_mut(&mut value).cast()) }?;
        Ok(value)
    }
}

/// A request that reads a `T` and writes its answer over it.
pub struct Exchange<T> {
    opcode: Opcode,
    argument: PhantomData<fn(&mut T)>,
}

impl<T> Exchange<T> {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode` must treat its argument as the address of a `T`, read and write at most
    /// `size_of::<T>()` bytes there, leave a valid `T`, and not keep the address. `T` must have no padding.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self { opcode, argument: PhantomData }
    }

    /// Makes the call; on success `value` is what the driver left there.
    ///
    /// # Errors
    ///
    /// The driver's errno; `value` is then of no meaning.
    pub fn call(self, fd: BorrowedFd<'_>, value: &mut T) -> io::Result<c_int> {
        // SAFETY: the address is that of an initialised `T`, borrowed exclusively for the length of the call; the
        // declaration guarantees that only its bytes are touched and that a valid `T` is left.
        unsafe { raw(fd, self.opcode, ptr::from_mut(value).cast()) }
    }
}

/// # Safety
///
/// `argument` must be what the driver behind `opcode` expects: an integer in pointer's clothing, or the address of
/// memory that stays valid, for reading or writing as that request does, until the call returns.
unsafe fn raw(fd: BorrowedFd<'_>, opcode: Opcode, argument: *mut c_void) -> io::Result<c_int> {
    // SAFETY: `fd` is open for the length of the borrow; the caller vouches for the argument. The opcode's type is
    // `long` or `int` by C library, and its 32 bits fit both.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), opcode as _, argument) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

macro_rules! copy_and_debug {
    ($($request:ident),*) => {$(
        // By hand: the derives would ask the same of `T`, which a request does not hold.
        impl<T> Clone for $request<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $request<T> {}
        impl<T> fmt::Debug for $request<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($request), "({:#x})"), self.opcode)
            }
        }
    )*};
}
copy_and_debug!(Setter, Getter, Exchange);
