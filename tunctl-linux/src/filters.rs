//! Filters of taps, and eBPF programs that filter and choose queues.

use std::os::fd::BorrowedFd;

use tunctl_core::{Cause, Filters, MacFilter, Operation, Reason, Result, TunDevice};
use tunctl_packet::bpf::Program;
use tunctl_sys::linux::filter::{FilterInstruction, MacFilterRequest};
use tunctl_sys::linux::tun;

use crate::LinuxDevice;

impl Filters for LinuxDevice {
    fn attach_filter(&self, program: &Program) -> Result<()> {
        const OPERATION: Operation = Operation::AttachFilter;
        let instructions = program.instructions().iter().map(|instruction| FilterInstruction {
            code: instruction.code,
            jt: instruction.jt,
            jf: instruction.jf,
            k: instruction.k,
        });
        let mut is_served = false;
        let attached = tun::attach_filter(&*self.fd, &instructions.collect::<Vec<_>>());
        self.configured(OPERATION, attached.map(|served| is_served = served))?;
        if is_served {
            return Ok(());
        }
        let name = self.name().unwrap_or(self.interface().last_name());
        Err(Reason::new(Cause::NoQueue).of(OPERATION).with_name(name))
    }

    fn detach_filter(&self) -> Result<()> {
        self.configured(Operation::DetachFilter, tun::detach_filter(&*self.fd))
    }

    fn set_mac_filter(&self, filter: Option<&MacFilter>) -> Result<()> {
        const OPERATION: Operation = Operation::SetMacFilter;
        let request = match filter {
            None => Some(MacFilterRequest::NONE),
            Some(filter) => MacFilterRequest::new(filter.addresses(), filter.accepts_all_groups()),
        };
        let Some(request) = request else {
            return Err(Reason::new(Cause::InvalidValue)
                .of(OPERATION)
                .with_name(self.interface().last_name()));
        };
        self.configured(OPERATION, tun::set_mac_filter(&*self.fd, &request).map(drop))
    }
}

/// Programs of eBPF, which a program loads by `bpf(2)` or a library for it.
impl LinuxDevice {
    /// Has an eBPF program drop packets, or cut them to the length that it returns, on all queues; `None`
    /// lets all pass. It runs behind the [filters](Filters) of a tap, and on a tun, too.
    ///
    /// The program is one for socket filters (`BPF_PROG_TYPE_SOCKET_FILTER`). It belongs to the interface and
    /// outlives the descriptor. Opening an interface that no other device has open removes it.
    ///
    /// # Errors
    ///
    /// `InvalidValue`: the descriptor is not one of such a program. `Gone`.
    ///
    /// # Platform
    ///
    /// Linux 4.16 or later. Manual page: `bpf(2)`.
    #[doc(alias = "TUNSETFILTEREBPF")]
    pub fn set_filter_program(&self, program: Option<BorrowedFd<'_>>) -> Result<()> {
        let set = match program {
            Some(program) => tun::set_filter_program(&*self.fd, program),
            None => tun::set_filter_program_off(&*self.fd),
        };
        self.configured(Operation::SetFilterProgram, set)
    }

    /// Has an eBPF program choose the queue of each packet to the program, in place of the driver's rule that
    /// a flow follows the queue by which it was last sent; `None` brings that back.
    ///
    /// The queue is the number that it returns, modulo the number of queues in service, in the order in which
    /// they were attached; a queue that leaves is replaced by the last one. The program is one for socket
    /// filters. It belongs to the interface, as for [`set_filter_program`](Self::set_filter_program).
    ///
    /// # Errors
    ///
    /// `InvalidValue`: the descriptor is not one of such a program. `Gone`.
    ///
    /// # Platform
    ///
    /// Linux 4.16 or later. Manual page: `bpf(2)`.
    #[doc(alias = "TUNSETSTEERINGEBPF")]
    pub fn set_steering_program(&self, program: Option<BorrowedFd<'_>>) -> Result<()> {
        let set = match program {
            Some(program) => tun::set_steering_program(&*self.fd, program),
            None => tun::set_steering_program_off(&*self.fd),
        };
        self.configured(Operation::SetSteeringProgram, set)
    }
}
