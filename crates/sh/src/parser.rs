//! Turns tokens into operations, in one pass and without recursion.
//!
//! The grammar is nested, so the parser keeps a stack of the constructs that are open ([`Level`]), in the
//! heap and bounded by [`MAX_NESTING`]. At each level a list of commands is being read, and the level knows
//! where the places are that may have to be patched:
//!
//! ```text
//!     if  a  &&  b  |  c  ;  …
//!     ▲   ▲      ▲     ▲
//!     │   │      │     └ stage    start of the stage of this pipeline
//!     │   │      └ pipe           Nop that becomes Pipe, if `|` is seen
//!     │   └ item                  Nop that becomes Async, if `&` is seen
//!     └ front                     Nop that becomes Redirect, if the construct has a redirection behind it
//! ```
//!
//! What a failure means under `set -e` depends on what comes after it (`a && b`, `if a; then`, `! a`), so an
//! [`Op::ErrExit`] is put behind every pipeline, and those that turn out to be conditions are taken out.

mod compound;

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::ops::Range;

use crate::code::{Op, Part, Redirect, Script, Simple, Word};
use crate::lexer::{Lexer, ParseError, Token};
use crate::limits::{MAX_COMMAND_BYTES, MAX_FIELDS, MAX_NESTING, MAX_OPS, MAX_PIPELINE};

/// Compiles a complete command: one line, or the lines of a construct.
///
/// # Errors
/// [`ParseError::Incomplete`] when more lines would complete it.
pub(crate) fn parse(text: &str) -> Result<Arc<Script>, ParseError> {
    if text.len() > MAX_COMMAND_BYTES {
        return Err(ParseError::Syntax("command too long".into()));
    }
    // The texts still to be compiled: the command, then the substitutions that were met on the way.
    let mut sources = vec![String::from(text)];
    let mut units = Vec::new();
    while let Some(source) = sources.get_mut(units.len()).map(core::mem::take) {
        let unit = Parser::new(&source, &mut sources).run();
        match unit {
            Err(ParseError::Incomplete(what)) if !units.is_empty() => {
                return Err(ParseError::Syntax(what.into()));
            }
            unit => units.push(unit?),
        }
    }
    Ok(Arc::new(Script { units }))
}

/// What is open.
#[derive(Debug)]
enum Kind {
    /// The text itself.
    Top,
    /// `{`; a function's body patches its `Define`.
    Brace { define: Option<usize> },
    /// `(`; a function's body likewise.
    Paren { start: usize, define: Option<usize> },
    /// `if`, before `then`.
    If,
    /// `then`, before `elif`, `else` or `fi`: the jump taken when the condition is false.
    Then { skip: usize },
    /// `else`, before `fi`.
    Else,
    /// `while` or `until`, before `do`.
    While { until: bool, start: usize, open: usize },
    /// `do`, before `done`: the jump out, and where the next round starts.
    Do { leave: usize, start: usize, open: usize },
    /// An arm of a `case`.
    Arm { arm: usize, open: usize },
}

impl Kind {
    /// What would end it, for messages.
    fn end(&self) -> &'static str {
        match self {
            Self::Top => "end of file",
            Self::Brace { .. } => "}",
            Self::Paren { .. } => ")",
            Self::If => "then",
            Self::Then { .. } | Self::Else => "fi",
            Self::While { .. } => "do",
            Self::Do { .. } => "done",
            Self::Arm { .. } => "esac",
        }
    }

    /// The message when the text ends within it.
    fn unfinished(&self) -> &'static str {
        match self {
            Self::Top => "unexpected end of file",
            Self::Brace { .. } => "unexpected end of file (expecting \"}\")",
            Self::Paren { .. } => "unexpected end of file (expecting \")\")",
            Self::If => "unexpected end of file (expecting \"then\")",
            Self::Then { .. } | Self::Else => "unexpected end of file (expecting \"fi\")",
            Self::While { .. } => "unexpected end of file (expecting \"do\")",
            Self::Do { .. } => "unexpected end of file (expecting \"done\")",
            Self::Arm { .. } => "unexpected end of file (expecting \"esac\")",
        }
    }
}

/// An open construct and the list that is being read in it.
#[derive(Debug)]
struct Level {
    kind: Kind,
    /// The Nop in front of the construct.
    front: usize,
    /// Jumps to the end of the construct, over its other branches.
    ends: Vec<usize>,
    /// Where the current list started.
    list: usize,
    /// Has the current list a command?
    filled: bool,
    item: usize,
    pipe: usize,
    stage: usize,
    stages: Vec<Range<usize>>,
    invert: bool,
    /// The jump of the last `&&` or `||`.
    and_or: Option<usize>,
}

impl Level {
    fn new(kind: Kind, front: usize) -> Self {
        Self {
            kind,
            front,
            ends: Vec::new(),
            list: 0,
            filled: false,
            item: 0,
            pipe: 0,
            stage: 0,
            stages: Vec::new(),
            invert: false,
            and_or: None,
        }
    }
}

/// Words that end a list.
const ENDS: &[&str] = &["}", "then", "elif", "else", "fi", "do", "done", "esac"];

/// What may come next.
enum Expect {
    /// A command, or the end of the list.
    Item,
    /// A command must follow: after `&&`, `||`, `|` and `!`.
    Command,
    /// A command has been read.
    Operator,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    ops: Vec<Op>,
    /// The constructs around the current one.
    outer: Vec<Level>,
    level: Level,
    /// Redirections whose here-document's text had not been reached, by slot: the operation they are in.
    here: Vec<usize>,
}

type Parsed<T> = Result<T, ParseError>;

fn syntax<T>(text: String) -> Parsed<T> {
    Err(ParseError::Syntax(text))
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, sources: &'a mut Vec<String>) -> Self {
        Self {
            lexer: Lexer::new(text, sources),
            ops: Vec::new(),
            outer: Vec::new(),
            level: Level::new(Kind::Top, 0),
            here: Vec::new(),
        }
    }

    fn run(mut self) -> Parsed<Vec<Op>> {
        self.start_list();
        let mut expect = Expect::Item;
        loop {
            expect = match expect {
                Expect::Item | Expect::Command => match self.command(matches!(expect, Expect::Command))? {
                    Some(next) => next,
                    None => break,
                },
                Expect::Operator => self.operator()?,
            };
            if self.ops.len() > MAX_OPS {
                return syntax("command too long".into());
            }
        }
        self.fill_here_documents();
        Ok(self.ops)
    }

    fn emit(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    fn patch(&mut self, at: usize, op: Op) {
        if let Some(place) = self.ops.get_mut(at) {
            *place = op;
        }
    }

    /// Makes jumps and openings that were waiting for it lead to the next operation.
    fn lead_here(&mut self, places: &[usize]) {
        let here = self.ops.len();
        for place in places {
            if let Some(
                Op::Jump(to)
                | Op::JumpIfFalse(to)
                | Op::JumpIfTrue(to)
                | Op::Loop { exit: to }
                | Op::For { exit: to, .. }
                | Op::Next { done: to, .. }
                | Op::Arm { next: to, .. }
                | Op::Define { end: to, .. },
            ) = self.ops.get_mut(*place)
            {
                *to = here;
            }
        }
    }

    // --- lists -------------------------------------------------------------------------------------

    fn start_list(&mut self) {
        self.level.list = self.ops.len();
        self.level.filled = false;
    }

    fn start_item(&mut self) {
        self.level.and_or = None;
        self.level.item = self.emit(Op::Nop);
        self.start_pipe();
    }

    /// Starts an item with the command that comes now, unless it goes on with one.
    fn start_item_unless(&mut self, going_on: bool) {
        if !going_on {
            self.start_item();
        }
    }

    fn start_pipe(&mut self) {
        self.level.invert = false;
        self.level.stages.clear();
        self.level.pipe = self.emit(Op::Nop);
        self.level.stage = self.ops.len();
    }

    /// Ends a stage: another follows.
    fn end_stage(&mut self) -> Parsed<()> {
        let end = self.ops.len();
        self.level.stages.push(self.level.stage..end);
        self.level.stage = end;
        if self.level.stages.len() > MAX_PIPELINE {
            return syntax("too many commands in a pipeline".into());
        }
        Ok(())
    }

    fn end_pipe(&mut self) -> Parsed<()> {
        if !self.level.stages.is_empty() {
            self.end_stage()?;
            let stages = core::mem::take(&mut self.level.stages);
            self.patch(self.level.pipe, Op::Pipe { stages });
        }
        if self.level.invert {
            self.spare(self.level.pipe);
            self.emit(Op::Invert);
        } else {
            self.emit(Op::ErrExit);
        }
        Ok(())
    }

    fn end_item(&mut self) -> Parsed<()> {
        self.end_pipe()?;
        let jump = self.level.and_or.take();
        self.lead_here(jump.as_slice());
        self.level.filled = true;
        Ok(())
    }

    /// What came since `start` is a condition: no failure in it ends the shell.
    fn spare(&mut self, start: usize) {
        for op in self.ops.iter_mut().skip(start) {
            if *op == Op::ErrExit {
                *op = Op::Nop;
            }
        }
    }

    /// After a command: an operator, or the end of what surrounds it.
    fn operator(&mut self) -> Parsed<Expect> {
        let token = self.lexer.next()?;
        match token {
            Token::Op("|") => {
                self.end_stage()?;
                Ok(Expect::Command)
            }
            Token::Op(op @ ("&&" | "||")) => {
                self.end_pipe()?;
                self.spare(self.level.item);
                let jump = self.level.and_or.take();
                self.lead_here(jump.as_slice());
                let jump = if op == "&&" { Op::JumpIfFalse(0) } else { Op::JumpIfTrue(0) };
                self.level.and_or = Some(self.emit(jump));
                self.start_pipe();
                Ok(Expect::Command)
            }
            Token::Op("&") => {
                self.end_item()?;
                let end = self.ops.len();
                self.patch(self.level.item, Op::Async { end });
                Ok(Expect::Item)
            }
            Token::Op(";") | Token::Newline => {
                self.end_item()?;
                Ok(Expect::Item)
            }
            Token::End => {
                self.end_item()?;
                self.end_of_text()?;
                // Ends `run` by way of `command`.
                Ok(Expect::Item)
            }
            Token::Op(")") if matches!(self.level.kind, Kind::Paren { .. }) => {
                self.end_item()?;
                self.close_paren()
            }
            Token::Op(";;") if matches!(self.level.kind, Kind::Arm { .. }) => {
                self.end_item()?;
                self.end_arm()
            }
            // Behind a construct, `fi fi` needs no `;`: the list ends all the same.
            Token::Word(ref word) if word.literal().is_some_and(|text| ENDS.contains(&text)) => {
                let text = String::from(word.literal().unwrap_or_default());
                self.end_item()?;
                match self.reserved(&text, false)? {
                    Some(next) => Ok(next),
                    None => self.unexpected(&token),
                }
            }
            other => self.unexpected(&other),
        }
    }

    fn end_of_text(&self) -> Parsed<()> {
        match &self.level.kind {
            Kind::Top => Ok(()),
            kind => Err(ParseError::Incomplete(kind.unfinished())),
        }
    }

    fn unexpected<T>(&self, token: &Token) -> Parsed<T> {
        let what = match token {
            Token::Word(word) => match word.literal() {
                Some(text) => format!("unexpected \"{text}\""),
                None => "unexpected word".into(),
            },
            Token::Op(op) => format!("unexpected \"{op}\""),
            Token::Redirect { .. } | Token::Here { .. } => "unexpected redirection".into(),
            Token::Newline => "unexpected newline".into(),
            Token::End => "unexpected end of file".into(),
        };
        match self.level.kind {
            Kind::Top => syntax(what),
            ref kind => syntax(format!("{what} (expecting \"{}\")", kind.end())),
        }
    }

    // --- commands ----------------------------------------------------------------------------------

    /// At the start of a command, or at the end of a list. `None` at the end of the text.
    fn command(&mut self, needed: bool) -> Parsed<Option<Expect>> {
        let token = self.lexer.next()?;
        match &token {
            Token::Newline => {
                return Ok(Some(if needed { Expect::Command } else { Expect::Item }));
            }
            Token::End if needed => return Err(ParseError::Incomplete("unexpected end of file")),
            Token::End => {
                self.end_of_text()?;
                return Ok(None);
            }
            Token::Op("(") => {
                self.start_item_unless(needed);
                let front = self.emit(Op::Nop);
                let start = self.emit(Op::Nop);
                self.open(Kind::Paren { start, define: None }, front)?;
                return Ok(Some(Expect::Item));
            }
            Token::Op(")")
                if !needed && self.level.filled && matches!(self.level.kind, Kind::Paren { .. }) =>
            {
                return self.close_paren().map(Some);
            }
            Token::Op(";;") if !needed && matches!(self.level.kind, Kind::Arm { .. }) => {
                return self.end_arm().map(Some);
            }
            Token::Op(_) => return self.unexpected(&token),
            Token::Redirect { .. } | Token::Here { .. } | Token::Word(_) => {}
        }
        if let Token::Word(word) = &token
            && let Some(text) = word.literal()
            && let Some(next) = self.reserved(text, needed)?
        {
            return Ok(Some(next));
        }
        self.start_item_unless(needed);
        self.simple(token).map(Some)
    }

    /// Words that mean something where a command could start.
    fn reserved(&mut self, text: &str, needed: bool) -> Parsed<Option<Expect>> {
        if matches!(text, "!" | "{" | "if" | "while" | "until" | "for" | "case") {
            self.start_item_unless(needed);
        }
        // These end a list, and there must be one.
        let ends = !needed && self.level.filled;
        let next = match (text, &self.level.kind) {
            ("!", _) => {
                self.level.invert = !self.level.invert;
                Expect::Command
            }
            ("{", _) => {
                let front = self.emit(Op::Nop);
                self.open(Kind::Brace { define: None }, front)?;
                Expect::Item
            }
            ("if", _) => {
                let front = self.emit(Op::Nop);
                self.open(Kind::If, front)?;
                Expect::Item
            }
            ("while" | "until", _) => {
                let front = self.emit(Op::Nop);
                let open = self.emit(Op::Loop { exit: 0 });
                let start = self.ops.len();
                self.open(Kind::While { until: text == "until", start, open }, front)?;
                Expect::Item
            }
            ("for", _) => self.open_for()?,
            ("case", _) => self.open_case()?,
            ("}", Kind::Brace { define }) if ends => {
                let define = *define;
                let redirects = self.trailing_redirects()?;
                self.close(redirects);
                self.lead_here(define.as_slice());
                Expect::Operator
            }
            ("then", Kind::If) if ends => {
                self.spare(self.level.list);
                let skip = self.emit(Op::JumpIfFalse(0));
                self.level.kind = Kind::Then { skip };
                self.start_list();
                Expect::Item
            }
            ("elif" | "else", Kind::Then { skip }) if ends => {
                let skip = *skip;
                let jump = self.emit(Op::Jump(0));
                self.level.ends.push(jump);
                self.lead_here(&[skip]);
                self.level.kind = if text == "elif" { Kind::If } else { Kind::Else };
                self.start_list();
                Expect::Item
            }
            ("fi", Kind::Then { .. } | Kind::Else) if ends => {
                if let Kind::Then { skip } = self.level.kind {
                    let jump = self.emit(Op::Jump(0));
                    self.level.ends.push(jump);
                    self.lead_here(&[skip]);
                    // No branch was taken.
                    self.emit(Op::Succeed);
                }
                self.end_compound()?
            }
            ("do", Kind::While { until, start, open }) if ends => {
                let (until, start, open) = (*until, *start, *open);
                self.spare(self.level.list);
                let leave = self.emit(if until { Op::JumpIfTrue(0) } else { Op::JumpIfFalse(0) });
                self.level.kind = Kind::Do { leave, start, open };
                self.start_list();
                Expect::Item
            }
            ("done", Kind::Do { leave, start, open }) if ends => {
                let (leave, start, open) = (*leave, *start, *open);
                self.emit(Op::Again(start));
                self.lead_here(&[leave]);
                self.emit(Op::Done);
                self.lead_here(&[open]);
                self.end_compound()?
            }
            ("esac", Kind::Arm { .. }) if !needed => {
                self.end_arm_body();
                self.emit(Op::Succeed);
                self.close_case()?
            }
            _ if ENDS.contains(&text) => {
                return self.unexpected(&Token::Word(Word { parts: vec![Part::Text(text.into())] }));
            }
            _ => return Ok(None),
        };
        Ok(Some(next))
    }

    /// Opens a construct and its first list.
    fn open(&mut self, kind: Kind, front: usize) -> Parsed<()> {
        if self.outer.len() >= MAX_NESTING {
            return syntax("constructs nested too deeply".into());
        }
        let outer = core::mem::replace(&mut self.level, Level::new(kind, front));
        self.outer.push(outer);
        self.start_list();
        Ok(())
    }

    /// Closes a construct whose last word has been read: redirections may follow.
    fn end_compound(&mut self) -> Parsed<Expect> {
        let redirects = self.trailing_redirects()?;
        self.close(redirects);
        Ok(Expect::Operator)
    }

    fn close(&mut self, redirects: Vec<Redirect>) {
        let outer = self.outer.pop().unwrap_or(Level::new(Kind::Top, 0));
        let level = core::mem::replace(&mut self.level, outer);
        self.lead_here(&level.ends);
        if !redirects.is_empty() {
            self.emit(Op::Restore);
            let end = self.ops.len();
            self.note_here(&redirects, level.front);
            self.patch(level.front, Op::Redirect { redirects, end });
        }
    }

    fn close_paren(&mut self) -> Parsed<Expect> {
        let Kind::Paren { start, define } = self.level.kind else { return self.end_compound() };
        let end = self.ops.len();
        self.patch(start, Op::Subshell { end });
        let next = self.end_compound();
        self.lead_here(define.as_slice());
        next
    }

    fn newlines(&mut self) -> Parsed<()> {
        while *self.lexer.peek()? == Token::Newline {
            self.lexer.next()?;
        }
        Ok(())
    }

    fn expect_word(&mut self, wanted: &'static str) -> Parsed<()> {
        match self.lexer.next()? {
            Token::Word(word) if word.literal() == Some(wanted) => Ok(()),
            Token::End => Err(ParseError::Incomplete("unexpected end of file")),
            Token::Word(word) => syntax(format!(
                "unexpected \"{}\" (expecting \"{wanted}\")",
                word.literal().unwrap_or("word")
            )),
            _ => syntax(format!("missing \"{wanted}\"")),
        }
    }

    /// A simple command, whose first token has been read; or the head of a function.
    fn simple(&mut self, first: Token) -> Parsed<Expect> {
        let mut simple = Simple::default();
        let mut token = first;
        loop {
            match token {
                Token::Word(word) => match word.assignment() {
                    Some(assignment) if simple.words.is_empty() => simple.assignments.push(assignment),
                    _ => simple.words.push(word),
                },
                Token::Redirect { .. } | Token::Here { .. } => {
                    let redirect = self.redirect(&token)?;
                    simple.redirects.push(redirect);
                }
                _ => {}
            }
            if simple.words.len() + simple.assignments.len() + simple.redirects.len() > MAX_FIELDS {
                return syntax("too many words".into());
            }
            match self.lexer.peek()? {
                Token::Word(_) | Token::Redirect { .. } | Token::Here { .. } => token = self.lexer.next()?,
                Token::Op("(") => return self.function(&simple),
                _ => break,
            }
        }
        let at = self.ops.len();
        self.note_here(&simple.redirects, at);
        self.emit(Op::Simple(simple));
        Ok(Expect::Operator)
    }
}

#[cfg(test)]
mod tests {
    use super::{Parser, parse};
    use crate::code::Op;
    use alloc::{format, string::String, vec::Vec};

    /// A short form of the operations of a unit.
    fn listing(text: &str) -> Vec<String> {
        let ops = Parser::new(text, &mut Vec::new()).run().unwrap();
        let name = |op: &Op| match op {
            Op::Simple(simple) => {
                let words: Vec<&str> = simple.words.iter().filter_map(|word| word.literal()).collect();
                words.join(" ")
            }
            Op::For { exit, .. } => format!("For {exit}"),
            Op::Loop { exit } => format!("Loop {exit}"),
            Op::Redirect { end, .. } => format!("Redirect {end}"),
            Op::Case(_) => "Case".into(),
            Op::Arm { next, .. } => format!("Arm {next}"),
            Op::Next { done, .. } => format!("Next {done}"),
            Op::Define { name, end } => format!("Define {name} {end}"),
            op => format!("{op:?}"),
        };
        ops.iter().map(name).collect()
    }

    /// What the head of `code` shows.
    #[test]
    fn the_drawing_of_flat_code() {
        assert_eq!(
            listing("a && b | c & { d; } > f").join("\n"),
            "Async { end: 9 }\nNop\na\nNop\nJumpIfFalse(9)\nPipe { stages: [6..7, 7..8] }\nb\nc\nErrExit\n\
             Nop\nNop\nRedirect 17\nNop\nNop\nd\nErrExit\nRestore\nErrExit"
        );
    }

    #[test]
    fn random_text_is_parsed_or_refused() {
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let alphabet: Vec<char> = " \n;&|()<>{}$`'\"\\#!*?[]=~:-+0123abcinesdofthlpuwr\té".chars().collect();
        for _ in 0..50_000 {
            let text: String = (0..random(40)).map(|_| alphabet[random(alphabet.len())]).collect();
            let first = parse(&text);
            assert_eq!(first, parse(&text), "{text:?}");
        }
    }
}
