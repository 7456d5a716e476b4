//! The machine that is booted: options in, QEMU's arguments out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::build::{self, Built};
use crate::disk::{self, NewDisk};
use crate::initramfs::{GuestFile, SCRIPT};
use crate::tools;

/// How many CPUs a machine has when nobody says.
const CPUS: u32 = 4;

/// Options of every command that boots.
#[derive(clap::Args, Clone, Debug)]
pub struct Machine {
    /// Number of CPUs [default: 4; `bench`: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub smp: Option<u32>,
    /// Size of the memory, as QEMU writes it
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub mem: String,
    /// CPU model, as QEMU names it
    #[arg(long, value_name = "MODEL", default_value = "max")]
    pub cpu: String,
    /// Start at EL2, as on a machine that offers virtualisation
    #[arg(long)]
    pub el2: bool,
    /// Version of the interrupt controller: 2 (at most 8 CPUs) or 3
    #[arg(long, value_name = "VERSION", default_value = "3", value_parser = ["2", "3"])]
    pub gic: String,
    /// More words for the kernel's command line (repeatable)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub append: Vec<String>,
    /// Count instructions instead of time: the same run every time
    #[arg(long)]
    pub icount: bool,
    /// End the machine after so many seconds, with status 124 [default: 300 with a script, else never]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// End it also when it has printed nothing for so long.
    #[arg(skip)]
    pub silence: Option<Duration>,
    /// The QEMU to run [default: qemu-system-aarch64, as found in the path]
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Boot this linked kernel instead of building one
    #[arg(long, value_name = "FILE")]
    pub elf: Option<PathBuf>,
    /// Put a host file into the guest's root file system (repeatable)
    #[arg(long = "file", value_name = "HOST[=GUEST]")]
    pub files: Vec<GuestFile>,
    /// Give the machine a disk, /dev/vda: a file, as raw sectors
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Give it a fresh disk for this run: `fat:SIZE` or `blank:SIZE`, as fat:8M
    #[arg(long, value_name = "WHAT", conflicts_with = "disk")]
    pub new_disk: Option<NewDisk>,
    /// What touches this sector of the disk fails
    #[arg(long, value_name = "N")]
    pub bad_sector: Option<u64>,
    /// The rules by which QEMU lets requests fail.
    #[arg(skip)]
    pub blkdebug: Option<PathBuf>,
    /// Where QEMU logs the address of every instruction it executes.
    #[arg(skip)]
    pub trace: Option<PathBuf>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            smp: None,
            mem: "512M".into(),
            cpu: "max".into(),
            el2: false,
            gic: "3".into(),
            append: Vec::new(),
            icount: false,
            timeout: None,
            silence: None,
            qemu: None,
            elf: None,
            files: Vec::new(),
            disk: None,
            new_disk: None,
            bad_sector: None,
            blkdebug: None,
            trace: None,
        }
    }
}

/// Who reads and writes the guest's console, its first serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console<'a> {
    /// The terminal we run on; Ctrl-A X leaves.
    Terminal,
    /// This socket, at which we listen.
    Socket(&'a str),
    /// A new terminal device, whose name QEMU prints.
    NewTerminal,
}

impl Machine {
    /// The kernel to boot: the one that was named, or a fresh build. `folder` takes what is made of it.
    pub fn kernel(&self, folder: &Path) -> Result<Built> {
        tools::qemu(self.qemu.as_deref())?;
        match &self.elf {
            Some(elf) => build::packed(elf, folder),
            None => build::kernel(),
        }
    }

    /// The machine that options on a command line describe, as `--smp 1 --el2`.
    pub fn parse(options: &str) -> Result<Self> {
        #[derive(clap::Parser)]
        #[command(no_binary_name = true)]
        struct Options {
            #[command(flatten)]
            machine: Machine,
        }
        Ok(<Options as clap::Parser>::try_parse_from(options.split_whitespace())?.machine)
    }

    /// QEMU's arguments. The machine has no device but what `virt` always has, and a disk if one is given.
    pub fn arguments(
        &self,
        image: &Path,
        initrd: &Path,
        console: Console<'_>,
        scripted: bool,
    ) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|w| (*w).to_owned()));
        let el2 = if self.el2 { ",virtualization=on" } else { "" };
        add(&["-M", &format!("virt,gic-version={}{el2}", self.gic)]);
        add(&["-cpu", &self.cpu, "-smp", &self.smp.unwrap_or(CPUS).to_string(), "-m", &self.mem]);
        add(&["-nodefaults", "-no-user-config", "-display", "none"]);
        // A guest that resets itself is a guest that ended.
        add(&["-no-reboot"]);
        add(&["-semihosting-config", "enable=on,target=native"]);
        match console {
            Console::Terminal => add(&["-serial", "mon:stdio"]),
            Console::Socket(path) => {
                add(&["-monitor", "none", "-chardev", &format!("socket,id=console,path={path},server=off")]);
                add(&["-serial", "chardev:console"]);
            }
            Console::NewTerminal => add(&["-monitor", "none", "-serial", "pty"]),
        }
        if self.icount {
            // A disk takes the host's time. With `sleep=off` an idle machine would jump to its next timer meanwhile: to
            // the one that says that the disk does not answer.
            let sleep = if self.disk.is_some() { "on" } else { "off" };
            add(&["-icount", &format!("shift=0,sleep={sleep}")]);
        }
        if let Some(log) = &self.trace {
            // One instruction at a time, none chained to the next past the log.
            add(tools::one_insn_at_a_time(self.qemu.as_deref()));
            add(&["-d", "exec,nochain", "-D", &log.to_string_lossy()]);
        }
        add(&["-kernel", &image.to_string_lossy(), "-initrd", &initrd.to_string_lossy()]);
        let command_line = self.command_line(scripted);
        add(&["-append", &command_line]);
        args.extend(disk::arguments(self));
        args
    }

    /// The kernel's command line.
    fn command_line(&self, scripted: bool) -> String {
        let mut words = vec!["trapline.semihosting".to_owned()];
        if scripted {
            words.push(format!("trapline.script={SCRIPT}"));
        }
        words.extend(self.append.iter().cloned());
        words.join(" ")
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments() {
        let machine = Machine {
            smp: Some(2),
            el2: true,
            icount: true,
            append: vec!["loglevel=7".into(), "x y".into()],
            ..Machine::default()
        };
        let args = machine.arguments(Path::new("/I"), Path::new("/R"), Console::Socket("s"), true).join(" ");
        for part in [
            "-M virt,gic-version=3,virtualization=on",
            "-cpu max -smp 2 -m 512M",
            "-icount shift=0,sleep=off",
            "-chardev socket,id=console,path=s,server=off",
            "-kernel /I -initrd /R",
            "-append trapline.semihosting trapline.script=/.script loglevel=7 x y",
        ] {
            assert!(args.contains(part), "{part} in {args}");
        }
    }

    #[test]
    fn a_terminal_machine_has_no_script() {
        let args = Machine::default()
            .arguments(Path::new("/I"), Path::new("/R"), Console::Terminal, false)
            .join(" ");
        assert!(
            args.contains("-serial mon:stdio")
                && args.contains("-append trapline.semihosting")
                && !args.contains("script=")
                && !args.contains("icount")
        );
    }

    #[test]
    fn options_can_be_read_from_text() {
        let machine = Machine::parse("--smp 1 --el2 --append x=1 --append -y").unwrap();
        assert_eq!((machine.smp, machine.el2, machine.cpu.as_str()), (Some(1), true, "max"));
        assert_eq!(machine.append, ["x=1", "-y"]);
        for bad in ["--smp", "--smp 0", "--nothing", "word"] {
            assert!(Machine::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_are_numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert!(seconds("-1").is_err() && seconds("soon").is_err() && seconds("1e99").is_err());
    }
}
