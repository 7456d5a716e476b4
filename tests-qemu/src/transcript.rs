//! A transcript: what was typed at the guest's prompt and what came back.
//!
//! ```text
//!   ~ # work work_add 2 40        a prompt (the folder, `#`), then the line that was typed
//!   42                            what it printed, up to the next prompt
//!   /proc # cat nothing
//!   cat: nothing: No such file or directory
//!   [1]                           the status, when it is not 0 (in cases only)
//! ```

/// One typed line with what it is expected to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The line to run.
    pub command: String,
    /// What it prints.
    pub expected: Vec<String>,
    /// Its exit status, where the transcript says or implies one.
    pub status: Option<u8>,
    /// Where it stands, counted from 1.
    pub line: usize,
}

/// The line that was typed at the guest's prompt, when `line` is one.
pub fn guest_prompt(line: &str) -> Option<&str> {
    let (folder, command) = line.split_once(" #")?;
    let is_folder = (folder.starts_with('/') || folder.starts_with('~')) && !folder.contains(' ');
    let command = if command.is_empty() { command } else { command.strip_prefix(' ')? };
    is_folder.then_some(command)
}

/// The line that was typed at the host's prompt, when `line` is one.
pub fn host_prompt(line: &str) -> Option<&str> {
    line.strip_prefix("$ ")
}

/// Cuts text into steps; `first_line` is the number of its first line. Lines before the first prompt
/// belong to no step.
pub fn steps<'a>(text: impl IntoIterator<Item = &'a str>, first_line: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (i, line) in text.into_iter().enumerate() {
        if let Some(command) = guest_prompt(line) {
            steps.push(Step { command: command.to_owned(), line: first_line + i, ..Step::default() });
        } else if let Some(step) = steps.last_mut() {
            step.expected.push(line.to_owned());
        }
    }
    for step in &mut steps {
        // An empty line that sets a prompt apart is no output.
        while step.expected.last().is_some_and(|line| line.trim().is_empty()) {
            step.expected.pop();
        }
    }
    steps
}

/// Takes a closing `[N]` of a step for its status; a step without one has to succeed.
pub fn take_status(step: &mut Step) {
    let last = step.expected.last().map(String::as_str).unwrap_or_default();
    let number = last.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.parse().ok());
    if number.is_some() {
        step.expected.pop();
    }
    step.status = Some(number.unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_told_from_output() {
        assert_eq!(guest_prompt("~ # echo hi"), Some("echo hi"));
        assert_eq!(guest_prompt("/sys/kernel/tracing # cat trace"), Some("cat trace"));
        assert_eq!(guest_prompt("~ #"), Some(""));
        for line in ["# tracer: nop", "  ~ # x", "a # b", "~ #x", "/a b # c", "$ cargo", ""] {
            assert_eq!(guest_prompt(line), None, "{line:?}");
        }
        assert_eq!(host_prompt("$ cargo xtask qemu"), Some("cargo xtask qemu"));
        assert_eq!(host_prompt("# x"), None);
    }

    #[test]
    fn steps_have_their_output() {
        let text = "booting\n~ # a\n1\n2\n\n~ # b\n~ # c\n# x\n[3]\n";
        let mut steps = steps(text.lines(), 10);
        let got: Vec<_> = steps.iter().map(|s| (s.command.as_str(), s.expected.join(","), s.line)).collect();
        assert_eq!(got, [("a", "1,2".into(), 11), ("b", "".into(), 15), ("c", "# x,[3]".into(), 16)]);
        steps.iter_mut().for_each(take_status);
        assert_eq!(steps.iter().map(|s| s.status).collect::<Vec<_>>(), [Some(0), Some(0), Some(3)]);
        assert_eq!(steps[2].expected, ["# x"]);
    }
}
