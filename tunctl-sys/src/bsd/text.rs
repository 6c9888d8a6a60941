//! The requests that set or get a text of an interface: its name, its description.
//!
//! They are no [`Request`](super::Request)s, because their argument, an `ifreq`, contains the address of the
//! text.
#![allow(unsafe_code, reason = "the requests are declared here, each with the proof of its argument")]

use crate::bsd::System;
use crate::bsd::layout::InterfaceRequest;
use crate::bsd::request::length;
use crate::ioctl::Opcode;

/// Where an `ifreq` contains the address of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLayout {
    /// `ifr_data`: the address comes first. The text ends with a NUL.
    Address,
    /// FreeBSD's `ifr_buffer`: a `size_t` comes first, the number of bytes at the address, which follows it.
    LengthAndAddress,
}

/// The number of a request with a text, and where its argument has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRequest {
    /// The system whose number it is.
    pub system: System,
    /// The number.
    pub opcode: Opcode,
    /// Where the address is.
    pub layout: TextLayout,
}

impl TextRequest {
    const fn new(system: System, opcode: Opcode, layout: TextLayout) -> Self {
        assert!(length(opcode) == size_of::<InterfaceRequest<16>>());
        Self { system, opcode, layout }
    }
}

/// A request that sets a text.
#[doc(alias = "SIOCSIFNAME")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetText(TextRequest);

impl SetText {
    /// Declares the request.
    ///
    /// # Safety
    ///
    /// On `system`, what answers `opcode` takes an `ifreq` and follows only the address that is where
    /// `layout` says. It reads no further than the text's NUL, or than the length that stands before the
    /// address, and writes nothing there.
    ///
    /// # Panics
    ///
    /// The number's argument does not have the length of an `ifreq`.
    #[must_use]
    pub const unsafe fn new(system: System, opcode: Opcode, layout: TextLayout) -> Self {
        Self(TextRequest::new(system, opcode, layout))
    }

    /// The number, and the place of the address.
    #[must_use]
    pub const fn request(self) -> TextRequest {
        self.0
    }
}

/// A request that gets a text.
#[doc(alias = "SIOCGIFDESCR")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetText {
    request: TextRequest,
    room: usize,
}

impl GetText {
    /// Declares the request. `room` is the number of bytes that a text has at most, including its NUL. Where
    /// the length stands before the address, it is the number to begin with: such a kernel says how many
    /// bytes a longer text has.
    ///
    /// # Safety
    ///
    /// On `system`, what answers `opcode` takes an `ifreq` and follows only the address that is where
    /// `layout` says. It writes no more than `room` bytes there, or than the length that stands before the
    /// address.
    ///
    /// # Panics
    ///
    /// The number's argument does not have the length of an `ifreq`.
    #[must_use]
    pub const unsafe fn new(system: System, opcode: Opcode, layout: TextLayout, room: usize) -> Self {
        Self { request: TextRequest::new(system, opcode, layout), room }
    }

    /// The number, and the place of the address.
    #[must_use]
    pub const fn request(self) -> TextRequest {
        self.request
    }

    /// The bytes to begin with.
    #[must_use]
    pub const fn room(self) -> usize {
        self.room
    }
}

/// The requests of an interface's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// `SIOCSIFDESCR`; an empty text removes the description.
    pub set: SetText,
    /// `SIOCGIFDESCR`.
    pub get: GetText,
    /// The errno of an interface that has none; `None` if the text is then empty.
    pub errno_of_none: Option<i32>,
}
