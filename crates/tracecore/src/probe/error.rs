//! What can be wrong with a probe line, and where.
//!
//! A refusal has three parts: the `errno` that the write returns, the kind whose sentence goes to `error_log`,
//! and the column of the caret under the command. A few lines are so far from being a probe that they are
//! refused by the `errno` alone, as Linux does.

use crate::errno::Errno;
use core::fmt;

/// Declares the kinds with the sentence that Linux prints for each and the `errno` that goes with it.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $errno:ident, $text:literal;)*) => {
        /// What is wrong with a probe line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $(#[doc = $text] $kind,)*
        }

        impl ErrorKind {
            /// Every kind, for tests and documentation.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The sentence for `error_log`.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }

            /// The error number that the write returns, unless the place of the error says otherwise.
            pub const fn errno(self) -> Errno {
                match self { $(Self::$kind => Errno::$errno,)* }
            }
        }
    };
}

kinds! {
    MaxactiveOnEntry = EINVAL, "Maxactive is only for function exit";
    BadMaxactive = EINVAL, "Invalid maxactive number";
    MaxactiveTooBig = EINVAL, "Maxactive is too big";
    BadProbeAddress = EINVAL, "Invalid probed address or symbol";
    SymbolNotUnique = EADDRNOTAVAIL, "The symbol is not unique";
    BadReturnProbe = EINVAL, "Retprobe address must be an function entry";
    BadTracepointName = EINVAL, "Invalid character in tracepoint name";
    BadAddressSuffix = EINVAL, "Invalid probed address suffix";
    NoGroupName = EINVAL, "Group name is not specified";
    GroupTooLong = EINVAL, "Group name is too long";
    BadGroupName = EINVAL, "Group name must follow the same rules as C identifiers";
    NoEventName = EINVAL, "Event name is not specified";
    EventTooLong = EINVAL, "Event name is too long";
    BadEventName = EINVAL, "Event name must follow the same rules as C identifiers";
    EventExists = EEXIST, "Given group/event name is already used by another event";
    RetvalOnProbe = EINVAL, "$retval is not available on probe";
    NotAtEntry = EINVAL, "$arg* can be used only on function entry or exit";
    BadStackNumber = EINVAL, "Invalid stack number";
    BadArgNumber = EINVAL, "Invalid argument number";
    BadVariable = EINVAL, "Invalid $-variable specified";
    BadRegister = EINVAL, "Invalid register name";
    BadMemoryAddress = EINVAL, "Invalid memory address";
    BadImmediate = EINVAL, "Invalid immediate value";
    StringNotClosed = EINVAL, "String is not closed with '\"'";
    FileOffsetOnKprobe = EINVAL, "File offset is not available with kprobe";
    TooManyDereferences = EINVAL, "Dereference is too much nested";
    DereferenceNeedsBrace = EINVAL, "Dereference needs a brace";
    BadDereferenceOffset = EINVAL, "Invalid dereference offset";
    DereferenceNotClosed = EINVAL, "Dereference brace is not closed";
    CommDereferenced = EINVAL, "$comm can not be dereferenced";
    BadFetchArg = EINVAL, "Invalid fetch argument";
    ArrayNotClosed = EINVAL, "Array is not closed";
    BadArraySuffix = EINVAL, "Array has wrong suffix";
    BadArraySize = EINVAL, "Invalid array size";
    ArrayTooBig = EINVAL, "Array number is too big";
    BadType = EINVAL, "Unknown type is specified";
    BadString = EINVAL, "String accepts only memory argument";
    BadSymbolString = EINVAL, "Symbol String doesn't accept data/userdata";
    BadBitfield = EINVAL, "Invalid bitfield";
    ArgNameTooLong = EINVAL, "Argument name is too long";
    NoArgName = EINVAL, "Argument name is not specified";
    BadArgName = EINVAL, "Argument name must follow the same rules as C identifiers";
    UsedArgName = EINVAL, "This argument name is already used";
    ArgTooLong = E2BIG, "Argument expression is too long";
    NoArgBody = EINVAL, "No argument expression";
    NotInstructionBoundary = EILSEQ, "Probe point is not an instruction boundary";
    RegistrationFailed = EINVAL, "Failed to register probe event";
    DifferentProbeType = EEXIST, "Probe type is different from existing probe";
    DifferentArgType = EEXIST, "Argument type or name is different from existing probe";
    SameProbe = EEXIST, "There is already the exact same probe event";
    NeedStringType = EINVAL, "$comm and immediate-string only accepts string type";
    EventTooBig = E2BIG, "Event too big (too many fields?)";
    TooManyArgs = E2BIG, "Too many arguments are specified";
    NoTypeInformation = EOPNOTSUPP, "BTF is not available or not supported";
    NoSuchVariable = ENOENT, "This variable is not found at this probe point";
    NoFunctionInformation = ENOENT, "No BTF entry for this probe point";
    NoSuchField = ENOENT, "This field is not found.";
    NoType = EINVAL, "Failed to get BTF type info.";
    NotAStructPointer = EINVAL, "This is not a pointer to union/structure.";
    StructByValue = EOPNOTSUPP, "Non pointer structure/union argument is not supported.";
    SingleHyphen = EINVAL, "Failed to parse single hyphen. Forgot '>'?";
    ArgsTwice = EINVAL, "$arg* can be used only once in the parameters";
    NotForString = EINVAL, "This type does not fit for string.";
    NoReturnValue = ENOENT, "This function returns 'void' type";
    NotSavedAtReturn = EINVAL, "This register is not available at a function's return";
}

/// Why a probe line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError {
    /// What the write returns.
    pub errno: Errno,
    /// The sentence and the caret's column for `error_log`; `None` where Linux says nothing there.
    pub log: Option<Blame>,
}

/// The sentence for `error_log`, and where in the command its caret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Bytes from the start of the command as [`super::command_text`] writes it. At most one past its end, or
    /// two where an argument is missing that should have followed.
    pub column: usize,
}

impl ProbeError {
    /// An error of this kind at this column.
    pub const fn at(kind: ErrorKind, column: usize) -> Self {
        Self { errno: kind.errno(), log: Some(Blame { kind, column }) }
    }

    /// The same blame with another error number.
    pub const fn with_errno(self, errno: Errno) -> Self {
        Self { errno, ..self }
    }

    /// A line that is refused by its number alone.
    pub const fn silent(errno: Errno) -> Self {
        Self { errno, log: None }
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.log {
            Some(blame) => f.write_str(blame.kind.text()),
            None => f.write_str(self.errno.strerror()),
        }
    }
}

impl core::error::Error for ProbeError {}
