//! One side of the comparison: a system, the devices that a sequence has open in it, and what it is seen to
//! do.

mod devices;
mod events;
mod interfaces;
mod outside;

use std::collections::BTreeSet;
use std::rc::Rc;

use devices::options;
pub(crate) use devices::pieces;
use events::Watchers;
use tunctl_conformance::{DeviceOf, Harness, InterfaceOf, Observation, PollState};
use tunctl_core::{Interface, InterfaceIndex, Statistics, TunBackend, TunDevice};

use tunctl_packet::header::HeaderKind;

use crate::differential::op::{Caller, On, Op, SLOTS};
use crate::differential::seen::{Answer, Refusal, Seen};

/// A system and a sequence's state in it. Both sides run this very code: only the harness differs.
pub(crate) struct World<H: Harness> {
    // Shared, because it lends itself while an operation runs as another caller.
    harness: Rc<H>,
    slots: [Option<Slot<DeviceOf<H>>>; SLOTS],
    watches: Vec<Watch>,
    watchers: Option<Watchers>,
    /// Events that were taken during an operation.
    heard: Vec<Vec<String>>,
    caller: Caller,
    queues_opened: usize,
    /// Queues that are out of service: what they send steers no flow, so which queue its answers reach is not
    /// known.
    detached: BTreeSet<usize>,
    /// The names of interfaces that were moved elsewhere, where each can be once.
    moved: BTreeSet<String>,
}

/// An open device.
struct Slot<D> {
    device: D,
    /// Which queue it is a descriptor of: duplicates share one.
    queue: usize,
}

/// What the system receives from one interface.
struct Watch {
    index: InterfaceIndex,
    observation: Box<dyn Observation>,
    /// It began with the present operation.
    is_new: bool,
}

/// What a generator may know of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) slots: [Option<Held>; SLOTS],
    pub(crate) interfaces: Vec<Known>,
    pub(crate) capable: bool,
    /// An interface was moved to the other namespace.
    pub(crate) moved: bool,
}

/// A TUN/TAP interface, as a generator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) is_tun: bool,
    pub(crate) mtu: u32,
    pub(crate) addresses: Vec<String>,
}

/// An open device, as a generator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) flags: u16,
    /// The bytes of its virtio-net header, if it has one.
    pub(crate) vnet: usize,
    /// `None`: its interface is gone.
    pub(crate) name: Option<String>,
    pub(crate) poll: PollState,
}

impl<H: Harness> World<H> {
    pub(crate) fn new(harness: H) -> Self {
        Self {
            watchers: Watchers::new(&harness),
            harness: Rc::new(harness),
            heard: Vec::new(),
            slots: Default::default(),
            watches: Vec::new(),
            caller: Caller::ROOT,
            queues_opened: 0,
            detached: BTreeSet::new(),
            moved: BTreeSet::new(),
        }
    }

    /// Does one operation, and looks around.
    pub(crate) fn run(&mut self, op: &Op) -> Seen {
        let answer = match op {
            Op::Caller(caller) => {
                self.caller = *caller;
                Answer::Done
            }
            Op::System(system) => self.system(system),
            Op::Survey => self.survey(),
            Op::Reply { slot, flow } => self.reply(*slot, *flow),
            op => self.as_caller(op),
        };
        self.watch_new_interfaces();
        if matches!(op, Op::Up { .. } | Op::Interface { .. }) {
            self.hear_of_addresses();
        }
        let events = self.events();
        let seen =
            Seen { answer, polls: self.polls(), counted: self.counted(), received: self.received(), events };
        self.forget_whose_index_is_anothers();
        self.watch_new_interfaces();
        self.watches.iter_mut().for_each(|watch| watch.is_new = false);
        self.hear_of_new_interfaces();
        seen
    }

    /// A lasting change of caller is a change around each operation that follows: the harness itself stays
    /// root.
    fn as_caller(&mut self, op: &Op) -> Answer {
        if self.caller == Caller::ROOT {
            return self.perform(op);
        }
        let (harness, Caller { uid, gid, capable }) = (self.harness.clone(), self.caller);
        let mut answer = Answer::Absent;
        harness.as_caller(uid, gid, capable, &mut || answer = self.perform(op));
        answer
    }

    fn perform(&mut self, op: &Op) -> Answer {
        match op {
            Op::Attach { verb, slot, flags, name, also } => {
                self.attach(*verb, *slot, options(*flags, name.as_deref(), *also))
            }
            Op::Crowd { slot, flags, name } => self.crowd(*slot, *flags, name),
            Op::Duplicate { from, to } => self.duplicate(*from, *to),
            Op::HandOver { slot } => self.hand_over(*slot),
            Op::Close { slot } => match self.slots[*slot].take() {
                Some(_) => Answer::Done,
                None => Answer::Absent,
            },
            Op::Destroy { slot } => self.destroy(*slot),
            Op::SetVnetFormat { slot, format } => self.set_vnet_format(*slot, *format),
            Op::Interface { on, call } => match self.interface(on) {
                Ok(interface) => call.perform(&interface),
                Err(answer) => answer,
            },
            Op::Move { on } => self.move_by_handle(on),
            Op::List => Answer::of(self.infos(), Answer::Infos),
            Op::Queue { slot, attached } => {
                let answer = self.on_device(op);
                if let (Answer::Done, Some(Slot { queue, .. })) = (&answer, &self.slots[*slot]) {
                    match attached {
                        true => self.detached.remove(queue),
                        false => self.detached.insert(*queue),
                    };
                }
                answer
            }
            op => self.on_device(op),
        }
    }

    fn on_device(&self, op: &Op) -> Answer {
        let Some(On::Slot(slot)) = op.subject() else { return Answer::Absent };
        match &self.slots[slot] {
            Some(slot) => devices::perform(&*self.harness, &slot.device, op),
            None => Answer::Absent,
        }
    }

    /// The name is one of those that are looked for elsewhere from then on.
    fn move_by_handle(&mut self, on: &On) -> Answer {
        let interface = match self.interface(on) {
            Ok(interface) => interface,
            Err(answer) => return answer,
        };
        let name = interface.name();
        match (self.harness.move_by_handle(&interface), name) {
            (None, _) => Answer::Absent,
            (Some(Ok(())), Ok(name)) => {
                self.moved.insert(name.to_string());
                Answer::Done
            }
            (Some(outcome), _) => Answer::of(outcome, |()| Answer::Done),
        }
    }

    fn interface(&self, on: &On) -> Result<InterfaceOf<H>, Answer> {
        match on {
            On::Slot(slot) => {
                let slot = self.slots[*slot].as_ref().ok_or(Answer::Absent)?;
                Ok(slot.device.interface().clone())
            }
            On::Name(name) => {
                let found = self.harness.backend().interface(&outside::name(name));
                found.map_err(|error| Answer::Refused(Refusal::from(&error)))
            }
        }
    }

    fn polls(&self) -> [Option<PollState>; SLOTS] {
        self.slots.each_ref().map(|slot| Some(self.harness.poll_state(&slot.as_ref()?.device)))
    }

    /// By the handle of the device. A handle whose interface is gone, or elsewhere, has no counters.
    fn counted(&self) -> [Option<Statistics>; SLOTS] {
        self.slots.each_ref().map(|slot| slot.as_ref()?.device.interface().statistics().ok())
    }

    /// An interface is watched from the operation on that made a device for it.
    fn watch_new_interfaces(&mut self) {
        for slot in self.slots.iter().flatten() {
            let index = slot.device.interface().index();
            if self.watches.iter().any(|watch| watch.index == index) {
                continue;
            }
            let Ok(name) = slot.device.name() else { continue };
            // One that was moved may have a namesake here.
            let here = self.harness.backend().interface(&name);
            if here.is_ok_and(|here| here.index() == index) {
                let observation = self.harness.observe(&name);
                self.watches.push(Watch { index, observation, is_new: true });
            }
        }
    }

    /// A program can choose an index that an interface had before. What comes from the new one is not the
    /// old one's.
    fn forget_whose_index_is_anothers(&mut self) {
        let Some(watchers) = &mut self.watchers else { return };
        for index in watchers.take_created() {
            let known = self.watches.len();
            self.watches.retain(|watch| watch.index != index || watch.is_new);
            if self.watches.len() < known {
                watchers.forget(index);
            }
        }
    }

    fn received(&mut self) -> Vec<Vec<Vec<u8>>> {
        let take = |watch: &mut Watch| std::iter::from_fn(|| watch.observation.take()).collect();
        self.watches.iter_mut().map(take).collect()
    }

    /// Whether an operation meets an open device that is attached: its own, or one of the interface that it
    /// names.
    pub(crate) fn meets_a_device(&self, op: &Op) -> bool {
        let attached = |slot: &&Slot<DeviceOf<H>>| !self.harness.poll_state(&slot.device).error;
        match op.subject() {
            Some(On::Slot(slot)) => self.slots[slot].as_ref().is_some_and(|slot| attached(&slot)),
            Some(On::Name(name)) => {
                let name = outside::name(&name);
                self.slots.iter().flatten().filter(attached).any(|slot| slot.device.name() == Ok(name))
            }
            None => {
                matches!(op, Op::List | Op::Survey) && self.slots.iter().flatten().any(|slot| attached(&slot))
            }
        }
    }

    pub(crate) fn view(&self) -> View {
        let held = |slot: &Slot<DeviceOf<H>>| Held {
            flags: slot.device.flags().bits(),
            vnet: vnet_length(slot.device.header_kind()),
            name: slot.device.name().ok().map(|name| name.to_string()),
            poll: self.harness.poll_state(&slot.device),
        };
        View {
            slots: self.slots.each_ref().map(|slot| slot.as_ref().map(held)),
            interfaces: self.infos().unwrap_or_default().iter().map(|info| self.known(info)).collect(),
            capable: self.caller.capable,
            moved: !self.moved.is_empty(),
        }
    }

    /// Leaves everything as it is, to die with its namespace. The last close of an interface that is not
    /// persistent waits 20 ms for the kernel; interfaces that die with their namespace wait together, and for
    /// nobody.
    pub(crate) fn abandon(self) {
        for slot in self.slots.into_iter().flatten() {
            // Refused if it is gone already, and then there is nothing to wait for.
            let _ = slot.device.set_persist(true);
        }
    }
}

/// The bytes of the virtio-net header; 0 if there is none.
pub(crate) const fn vnet_length(headers: HeaderKind) -> usize {
    match headers {
        HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format) => format.length.bytes(),
        _ => 0,
    }
}
