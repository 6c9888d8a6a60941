//! What was called, in order, and what is to fail.

#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<String>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    /// How the call begins.
    call: String,
    /// How many such calls are let pass first.
    spare: usize,
    errno: i32,
    once: bool,
}

impl Trace {
    /// Notes a call; an error if it is to fail.
    pub(crate) fn call(&mut self, call: String) -> Result<(), i32> {
        let found = self.faults.iter_mut().position(|fault| match call.starts_with(&fault.call) {
            true if fault.spare > 0 => {
                fault.spare -= 1;
                false
            }
            matches => matches,
        });
        self.calls.push(call);
        let Some(at) = found else { return Ok(()) };
        let errno = self.faults[at].errno;
        if self.faults[at].once {
            self.faults.remove(at);
        }
        Err(errno)
    }

    /// Notes what cannot fail.
    pub(crate) fn note(&mut self, event: String) {
        self.calls.push(event);
    }

    pub(crate) fn fail(&mut self, call: &str, spare: usize, errno: i32, once: bool) {
        self.faults.push(Fault { call: call.into(), spare, errno, once });
    }

    pub(crate) fn heal(&mut self) {
        self.faults.clear();
    }
}
