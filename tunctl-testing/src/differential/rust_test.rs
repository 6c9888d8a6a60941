//! A difference, as a test to paste: the operations, each with the kernel's answer as what is expected.

mod calls;

use std::fmt::Write as _;

use calls::{expression, literal, options, quoted};

use crate::differential::op::{Caller, Op, Patience, System};
use crate::differential::pair::Difference;
use crate::differential::seen::{Answer, Refusal, Seen};

/// The mock's first MAC addresses begin with these two bytes, and the kernel's are random.
const PLAIN: &str = "    let plain = |mut info: InterfaceInfo| {
        let chosen = info.mac.filter(|mac| mac.octets()[..2] == [0x02, 0x74]);
        info.mac = chosen.map(|_| MacAddress::from_kernel([0x02, 0x74, 0, 0, 0, 0])).or(info.mac);
        info
    };
";

/// The text of the test; `release` is the kernel's.
pub(crate) fn render(release: &str, seed: u64, case: u64, difference: &Difference) -> String {
    let mut text = String::new();
    let shown = difference.kernel.last();
    let _ =
        writeln!(text, "/// `cargo xtask differential --seed {seed}`, case {case}: {}.", difference.kind());
    if let Some(kernel) = shown.filter(|kernel| kernel.answer != difference.model.answer) {
        let _ = writeln!(text, "///\n/// Kernel: {:?}", kernel.answer);
        let _ = writeln!(text, "/// Model: {:?}", difference.model.answer);
    }
    let _ = writeln!(text, "#[test]\nfn seed_{seed}_case_{case}() {{");
    text.push_str("    use tunctl_conformance::{Harness, Observation, PollState, refused};\n");
    text.push_str("    use tunctl_core::*;\n\n");
    let _ = writeln!(text, "    let profile = tunctl_mock::KernelProfile::of_release({release:?});");
    text.push_str("    let harness = &tunctl_mock::conformance::MockHarness::new(profile);\n");
    text.push_str("    let backend = harness.backend();\n");
    text.push_str("    let name = |text: &str| InterfaceName::from_kernel(text.as_bytes()).unwrap();\n");
    let prelude = text.len();
    let is_received = shown.is_some_and(|kernel| {
        let Difference { model, .. } = difference;
        kernel.answer == model.answer && kernel.polls == model.polls && kernel.counted == model.counted
    });
    if shown.is_some_and(|kernel| kernel.events != difference.model.events) {
        text.push_str("    let mut events = harness.events(None).unwrap().unwrap();\n");
    }
    let mut writer = Writer { text, caller: Caller::ROOT, watches: is_received.then(Vec::new) };
    for (op, seen) in difference.ops.iter().zip(&difference.kernel) {
        writer.op(op, &seen.answer);
    }
    if let Some(kernel) = shown {
        writer.around(kernel, &difference.kernel, &difference.model);
    }
    writer.text.push_str("}\n");
    if writer.text.contains("plain") {
        writer.text.insert_str(prelude, PLAIN);
    }
    writer.text
}

struct Writer {
    text: String,
    caller: Caller,
    /// The indices of the interfaces that are watched, if what the system received matters.
    watches: Option<Vec<u32>>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    fn op(&mut self, op: &Op, answer: &Answer) {
        match (op, answer) {
            (_, Answer::Absent) => {}
            (Op::Caller(caller), _) => self.caller = *caller,
            (Op::System(system), answer) => self.system(system, answer),
            (Op::Survey, _) => self.survey(answer),
            (Op::Close { slot }, _) => self.line(&format!("drop(d{slot});")),
            (Op::Reply { slot, .. }, answer) => self.reply(*slot, answer),
            (Op::Crowd { flags, name, .. }, Answer::Crowded(opened, refusal)) => {
                let call = format!("backend.open(&{})", options(*flags, Some(name)));
                self.line(&format!("let crowd: Vec<_> = (0..{opened}).map(|_| {call}.unwrap()).collect();"));
                self.refused(&call, refusal);
                self.line("drop(crowd);");
            }
            (Op::Receive { room, patience, .. }, _) => {
                self.line(&format!("let mut buffer = vec![0; {room}];"));
                self.interrupter(*patience);
                self.call(op, answer);
            }
            (Op::Listen { patience, .. }, _) => {
                self.interrupter(*patience);
                self.call(op, answer);
            }
            (Op::ReceiveVectored { rooms, .. }, _) => {
                self.line(&format!("let mut buffers = {rooms:?}.map(|room: usize| vec![0; room]);"));
                self.call(op, answer);
            }
            (Op::SetVnetFormat { slot, .. }, _) => {
                self.line(&format!("let mut d{slot} = d{slot};"));
                self.call(op, answer);
            }
            _ => self.call(op, answer),
        }
    }

    /// A packet of a flow, and its answer. What the queues held before is left out.
    fn reply(&mut self, slot: usize, answer: &Answer) {
        let Answer::Steered { packets: [sent, reply], slot: at, .. } = answer else {
            return self.line(&format!("// A packet and its answer ended with: {answer:?}"));
        };
        self.line(&format!("d{slot}.try_send(&{}).unwrap();", literal(sent)));
        self.line(&format!("harness.inject(&d{slot}.name().unwrap(), &{});", literal(reply)));
        self.line(&match at {
            Some(at) => format!("d{at}.try_recv(&mut [0; 100]).unwrap();"),
            None => "// It arrived nowhere.".into(),
        });
    }

    /// A call, as whoever calls.
    fn call(&mut self, op: &Op, answer: &Answer) {
        let mut call = expression(op);
        if self.caller != Caller::ROOT {
            let Caller { uid, gid, capable } = self.caller;
            if let Op::Destroy { slot } | Op::HandOver { slot } = op {
                self.line(&format!("let mut lent = Some(d{slot});"));
                call = call.replace(&format!("d{slot}"), "lent.take().unwrap()");
            }
            self.line("let mut answer = None;");
            self.line(&format!("harness.as_caller({uid}, {gid}, {capable}, &mut || answer = Some({call}));"));
            call = "answer.unwrap()".into();
        }
        match answer {
            Answer::Refused(refusal) => self.refused(&call, refusal),
            Answer::NotReceived(refusal, bytes) => {
                self.refused(&call, refusal);
                self.line(&format!("assert_eq!({}, {});", buffers(op), literal(bytes)));
            }
            Answer::NotDestroyed(Refusal { cause, errno, .. }, is_back) => {
                let Op::Destroy { slot } = op else { return };
                self.line(&format!("let failed = {call}.unwrap_err();"));
                self.line("let told = (failed.error().cause(), failed.error().raw_os_error());");
                self.line(&format!("assert_eq!(told, (Cause::{cause:?}, {errno:?}));"));
                self.line(&match is_back {
                    true => format!("let d{slot} = failed.into_device().unwrap();"),
                    false => "assert!(failed.into_device().is_none());".into(),
                });
            }
            Answer::Attached { name, index, .. } => {
                let (Op::Attach { slot, .. } | Op::HandOver { slot }) = op else { return };
                self.line(&format!("let d{slot} = {call}.unwrap();"));
                self.line(&format!("assert_eq!(d{slot}.name().unwrap(), {});", quoted(name)));
                self.line(&format!("assert_eq!(d{slot}.interface().index().get(), {index});"));
                self.watch(*slot, index.get());
            }
            Answer::Packet(length, bytes) => {
                self.line(&format!("assert_eq!({call}.unwrap(), {length});"));
                self.line(&format!("assert_eq!({}[..{length}], {});", buffers(op), literal(bytes)));
            }
            Answer::Done => match op {
                Op::Duplicate { to, .. } => self.line(&format!("let d{to} = {call}.unwrap();")),
                _ => self.line(&format!("{call}.unwrap();")),
            },
            Answer::Bool(value) => self.line(&format!("assert_eq!({call}.unwrap(), {value});")),
            Answer::Length(length) => self.line(&format!("assert_eq!({call}.unwrap(), {length});")),
            Answer::Name(name) => self.line(&format!("assert_eq!({call}.unwrap(), {});", quoted(name))),
            Answer::Info(value) => self.debug(&call, &format!("{value:?}")),
            Answer::Infos(value) => self.debug(&call, &format!("{value:?}")),
            Answer::Addresses(value) => self.debug(&call, &format!("{value:?}")),
            Answer::Offloads(value) => self.debug(&call, &format!("{value:?}")),
            Answer::Statistics(value) => self.debug(&call, &format!("{value:?}")),
            other => self.line(&format!("let _ = {call}; // {other:?}")),
        }
    }

    fn debug(&mut self, call: &str, expected: &str) {
        self.line(&format!("assert_eq!(format!(\"{{:?}}\", {call}.unwrap()), {expected:?});"));
    }

    fn refused(&mut self, call: &str, refusal: &Refusal) {
        let Refusal { cause, errno, .. } = refusal;
        self.line(&format!("assert_eq!(refused({call}, Cause::{cause:?}).raw_os_error(), {errno:?});"));
    }

    fn system(&mut self, system: &System, answer: &Answer) {
        let line = match (system, answer) {
            (System::Delete { name }, _) => format!("harness.delete(&name({name:?}));"),
            (System::Move { name }, _) => format!("harness.move_to_namespace(&name({name:?}));"),
            (System::SetUp { name, up }, _) => format!("harness.set_up(&name({name:?}), {up});"),
            (System::Rename { from, to }, Answer::Bool(permitted)) => {
                format!("assert_eq!(harness.rename(&name({from:?}), &name({to:?})), {permitted});")
            }
            (System::Rename { from, to }, _) => format!("harness.rename(&name({from:?}), &name({to:?}));"),
            (System::Inject { name, packet, times }, answer) => {
                let call = format!("harness.inject(&name({name:?}), &{})", literal(packet));
                let Answer::Injected { reached, after, .. } = answer else {
                    return self.line(&format!("{call}; // {answer:?}"));
                };
                for packet in after.iter().take(3) {
                    self.line(&format!("// One of several queues then holds {}: take it.", literal(packet)));
                }
                match times {
                    1 => format!("assert_eq!({call}, {});", *reached == 1),
                    _ => format!("assert_eq!((0..{times}).filter(|_| {call}).count(), {reached});"),
                }
            }
        };
        self.line(&line);
    }

    fn survey(&mut self, answer: &Answer) {
        let Answer::Survey(surveyed) = answer else {
            return self.line(&format!("// A survey ended with: {answer:?}"));
        };
        for one in surveyed {
            let name = quoted(&one.info.name);
            if one.elsewhere {
                self.line(&format!("// Elsewhere: {:?}", one.info));
                continue;
            }
            self.debug(
                &format!("backend.interface(&{name}).unwrap().info().map(plain)"),
                &format!("{:?}", one.info),
            );
            let counted = format!("{:?}", one.statistics);
            self.line(&format!(
                "assert_eq!(format!(\"{{:?}}\", harness.statistics(&{name}).unwrap()), {counted:?});"
            ));
            self.line(&format!(
                "assert_eq!(harness.reported_addresses(&{name}).len(), {});",
                one.addresses.len()
            ));
        }
    }

    /// That which a call of this form may be ended by.
    fn interrupter(&mut self, patience: Patience) {
        if let Patience::Interruptible { used } = patience {
            self.line("let stop = Interrupter::new().unwrap();");
            if used {
                self.line("stop.interrupt();");
            }
        }
    }

    fn watch(&mut self, slot: usize, index: u32) {
        let Some(watches) = &mut self.watches else { return };
        if !watches.contains(&index) {
            watches.push(index);
            let number = watches.len() - 1;
            self.line(&format!("let mut watch{number} = harness.observe(&d{slot}.name().unwrap());"));
        }
    }

    /// The events of all interfaces, from the beginning.
    fn events(&mut self, all: &[Seen]) {
        let lines: Vec<_> = all.iter().filter_map(|seen| seen.events.first()).flatten().collect();
        self.line("let events = std::iter::from_fn(|| events.try_next().ok().flatten());");
        self.line(
            "let lines = events.map(|event| event.to_string()).filter(|line| !line.contains(\"carrier\"));",
        );
        self.line(&format!("assert_eq!(lines.collect::<Vec<_>>(), {lines:?});"));
    }

    /// What there was to see beside the last answer, where the sides differ.
    fn around(&mut self, kernel: &Seen, all: &[Seen], model: &Seen) {
        for (slot, (state, of_model)) in kernel.polls.iter().zip(&model.polls).enumerate() {
            if let Some(state) = state.filter(|state| Some(*state) != *of_model) {
                self.line(&format!("assert_eq!(harness.poll_state(&d{slot}), {state:?});"));
            }
        }
        for (slot, (counted, of_model)) in kernel.counted.iter().zip(&model.counted).enumerate() {
            if let Some(counted) = counted.filter(|counted| Some(*counted) != *of_model) {
                self.debug(&format!("d{slot}.interface().statistics()"), &format!("{counted:?}"));
            }
        }
        if kernel.events != model.events {
            self.events(all);
        }
        for number in 0..self.watches.as_ref().map_or(0, Vec::len) {
            let packets = all.iter().filter_map(|seen| seen.received.get(number)).flatten();
            let packets: Vec<_> = packets.map(|packet| format!("{}.to_vec()", literal(packet))).collect();
            self.line(&format!(
                "assert_eq!(std::iter::from_fn(|| watch{number}.take()).collect::<Vec<_>>(), Vec::<Vec<u8>>::from([{}]));",
                packets.join(", ")
            ));
        }
    }
}

/// The bytes that a receive wrote, in the test.
const fn buffers(op: &Op) -> &'static str {
    if matches!(op, Op::Receive { .. }) { "buffer" } else { "buffers.concat()" }
}

#[cfg(test)]
mod tests {
    use tunctl_conformance::PollState;
    use tunctl_core::{
        Cause, CreateFlags, InterfaceIndex, InterfaceInfo, InterfaceName, Layer, MacAddress, Mtu, Operation,
    };

    use super::*;
    use crate::differential::interface_call::InterfaceCall;
    use crate::differential::op::{On, SLOTS, Verb};

    fn seen(answer: Answer) -> Seen {
        Seen {
            answer,
            polls: [None; SLOTS],
            counted: [None; SLOTS],
            received: Vec::new(),
            events: Vec::new(),
        }
    }

    fn create() -> (Op, Seen) {
        let op =
            Op::Attach { verb: Verb::Create, slot: 1, flags: 0x1001, name: Some("a".into()), also: None };
        let name = InterfaceName::new("a").unwrap();
        let index = InterfaceIndex::new(2).unwrap();
        let answer = Answer::Attached { name, index, flags: CreateFlags::TUN | CreateFlags::NO_PI };
        (op, seen(answer))
    }

    fn difference(steps: Vec<(Op, Seen)>, model: Seen) -> Difference {
        let (ops, kernel) = steps.into_iter().unzip();
        Difference { ops, kernel, model }
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().skip_while(|line| !line.contains("let name =")).skip(1).map(str::trim).collect()
    }

    #[test]
    fn each_step_expects_what_the_kernel_answered() {
        let gone =
            Answer::Refused(Refusal { operation: Operation::Send, cause: Cause::Gone, errno: Some(77) });
        let steps = vec![
            create(),
            (Op::System(System::Delete { name: "a".into() }), seen(Answer::Done)),
            (Op::Caller(Caller { uid: 4001, gid: 0, capable: false }), seen(Answer::Done)),
            (Op::Send { slot: 1, packet: vec![0x45; 20], cuts: None }, seen(gone)),
        ];
        let text = render("6.18", 7, 9, &difference(steps, seen(Answer::Length(20))));
        assert!(
            text.starts_with(
                "/// `cargo xtask differential --seed 7`, case 9: Send: kernel Send refused: Gone"
            )
        );
        assert!(text.contains("/// Model: 20 bytes\n#[test]\nfn seed_7_case_9() {\n"), "{text}");
        assert_eq!(
            lines(&text),
            [
                r#"let d1 = backend.create(&CreateOptions::from_bits(0x1001).unwrap().name("a")).unwrap();"#,
                r#"assert_eq!(d1.name().unwrap(), name("a"));"#,
                "assert_eq!(d1.interface().index().get(), 2);",
                r#"harness.delete(&name("a"));"#,
                "let mut answer = None;",
                "harness.as_caller(4001, 0, false, &mut || answer = Some(d1.try_send(&[0x45u8; 20])));",
                "assert_eq!(refused(answer.unwrap(), Cause::Gone).raw_os_error(), Some(77));",
                "}",
            ]
        );
    }

    #[test]
    fn a_mac_address_that_a_kernel_chose_is_not_asked_for() {
        let index = InterfaceIndex::new(2).unwrap();
        let mut info = InterfaceInfo::new("a".parse().unwrap(), index, Layer::Tap, Mtu::MIN);
        info.mac = Some(MacAddress::from_kernel([0x02, 0x74, 0, 0, 0, 0]));
        let step = (
            Op::Interface { on: On::Slot(1), call: InterfaceCall::Info },
            seen(Answer::Info(Box::new(info))),
        );
        let text = render("6.18", 1, 1, &difference(vec![create(), step], seen(Answer::Done)));
        let told = lines(&text);
        assert_eq!(told[0], "let plain = |mut info: InterfaceInfo| {");
        assert!(text.contains("d1.interface().info().map(plain).unwrap()"), "{text}");
        let text = render("6.18", 1, 1, &difference(vec![create()], seen(Answer::Done)));
        assert!(!text.contains("plain"), "{text}");
    }

    #[test]
    fn what_is_beside_the_answer_is_told_where_it_differs() {
        let mut kernel = seen(Answer::Length(1));
        kernel.polls[1] = Some(PollState { readable: false, writable: true, error: false });
        let mut model = kernel.clone();
        kernel.received = vec![vec![vec![0x45]]];
        model.received = vec![Vec::new()];
        let steps = vec![create(), (Op::Send { slot: 1, packet: vec![0x45], cuts: None }, kernel)];
        let text = render("6.18", 1, 1, &difference(steps.clone(), model.clone()));
        assert!(text.contains("let mut watch0 = harness.observe(&d1.name().unwrap());"), "{text}");
        assert!(text.contains("Vec::<Vec<u8>>::from([[0x45u8].to_vec()])"), "{text}");
        assert!(!text.contains("poll_state"), "{text}");
        assert!(!text.contains("harness.events"), "{text}");
        model.polls[1] = None;
        let text = render("6.18", 1, 1, &difference(steps, model));
        let state = "PollState { readable: false, writable: true, error: false }";
        assert!(text.contains(&format!("assert_eq!(harness.poll_state(&d1), {state});")), "{text}");
    }

    #[test]
    fn events_that_differ_are_told_from_the_beginning() {
        let (op, mut first) = create();
        first.events = vec![vec!["a: created".into()]];
        let mut kernel = seen(Answer::Done);
        kernel.events = vec![vec!["a: deleted".into()], vec!["a: deleted".into()]];
        let steps = vec![(op, first), (Op::System(System::Delete { name: "a".into() }), kernel)];
        let text = render("6.18", 1, 1, &difference(steps, seen(Answer::Done)));
        assert!(text.contains("let mut events = harness.events(None).unwrap().unwrap();\n"), "{text}");
        assert!(
            text.contains(r#"assert_eq!(lines.collect::<Vec<_>>(), ["a: created", "a: deleted"]);"#),
            "{text}"
        );
    }
}
