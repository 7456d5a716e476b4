//! The table of types of a small program, from source to what is read of it: compiled as the kernel is, so that what it
//! says of Rust's way to pass arguments is what the compiler of today does.

use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use tracecore::typetab::{Function, Outcome, Place, Shape, TypeId, TypeTable};

/// Compiles the fixture, once for each test that asks.
fn program(name: &str) -> Vec<u8> {
    xtask::tools::rust_target().expect("the kernel's target");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/types");
    let elf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("types-{name}.elf"));
    let out = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-type", "bin", "--target", xtask::tools::TARGET])
        .args(["-O", "-g", "-Cpanic=abort", "-Zpatchable-function-entry=4,2", "-Awarnings"])
        .arg(format!("-Clink-arg=-T{}", source.join("fixture.ld").display()))
        .arg(source.join("fixture.rs"))
        .arg("-o")
        .arg(&elf)
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .expect("rustc runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::fs::read(elf).expect("the program")
}

/// A table, and where functions begin.
struct Read<'a> {
    table: TypeTable<'a>,
    file: object::File<'a>,
}

impl<'a> Read<'a> {
    fn address(&self, name: &str) -> u64 {
        self.file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name).address()
    }

    fn function(&self, name: &str) -> Function<'a> {
        let found = self.table.function(self.address(name));
        found.unwrap_or_else(|| panic!("{name} is not in the table"))
    }

    fn params(&self, name: &str) -> Vec<(&'a str, Place, String)> {
        self.function(name).params().map(|param| (param.name, param.place, self.say(param.ty))).collect()
    }

    /// A type in a word.
    fn say(&self, ty: TypeId) -> String {
        match self.table.core_shape(ty).expect("a shape") {
            Shape::Opaque { size } => format!("opaque {size}"),
            Shape::Int { size, signed } => format!("{}{}", if signed { 's' } else { 'u' }, size * 8),
            Shape::Bool => "bool".into(),
            Shape::Char => "char".into(),
            Shape::Pointer { to } => format!("*{}", self.name(to)),
            Shape::Text { size, pointer, length } => format!("text {size} {pointer} {length}"),
            Shape::Array { of, count } => format!("{}[{count}]", self.say(of)),
            Shape::Record(record) => format!("{} {}", record.name, record.size),
        }
    }

    fn name(&self, ty: TypeId) -> String {
        match self.table.shape(ty) {
            Some(Shape::Record(record)) => record.name.into(),
            _ => self.say(ty),
        }
    }
}

#[test]
fn places_and_types_are_what_the_compiler_says() {
    let elf = program("places");
    let bytes = xtask::types::table(&elf).expect("a table");
    let table = TypeTable::parse(&bytes).expect("a good table");
    let read = Read { table, file: object::File::parse(&*elf).expect("an ELF file") };
    let x = Place::Register;
    let own = |list: &[(&'static str, Place, &str)]| -> Vec<(&str, Place, String)> {
        list.iter().map(|(name, place, ty)| (*name, *place, String::from(*ty))).collect()
    };
    assert_eq!(
        read.params("scalars"),
        own(&[
            ("byte", x(0), "u8"),
            ("signed", x(1), "s32"),
            ("wide", x(2), "u64"),
            ("flag", x(3), "bool"),
            ("letter", x(4), "char"),
        ])
    );
    let Outcome::Value(result) = read.function("scalars").result else { panic!("a result in x0") };
    assert_eq!(read.say(result), "s16");
    let slices = read.params("slices");
    assert_eq!(slices[0], ("text", Place::Pair(0, 1), "text 16 0 8".into()));
    assert_eq!((slices[1].0, slices[1].1), ("bytes", Place::Pair(2, 3)));
    assert_eq!(read.function("slices").result, Outcome::Nothing);
    assert_eq!(
        read.params("node"),
        own(&[("node", x(0), "*Node"), ("shade", x(1), "u8"), ("id", x(2), "u32")])
    );
    // One that is too large for registers is where a register points; so is the result, of which nothing is said.
    let large = read.params("large");
    assert!(
        large.iter().any(|(name, place, _)| *name == "large" && matches!(place, Place::Memory(_))),
        "{large:?}"
    );
    assert_eq!(read.function("large").result, Outcome::Unknown);
    // Whether an argument that nobody reads is passed is the compiler's affair; the one behind it is found all the same.
    let dropped = read.function("dropped");
    assert!(
        matches!(dropped.param("used").map(|param| param.place), Some(Place::Register(0 | 1))),
        "{dropped:?}"
    );
    assert!(read.table.function(0).is_none());
    // Of two that were made one the table says nothing rather than something wrong.
    let [node, large] = ["twin_of_node", "twin_of_large"].map(|name| read.address(name));
    if node == large {
        assert!(read.table.function(node).is_none());
    } else {
        assert_eq!(read.params("twin_of_node"), own(&[("node", x(0), "*Node")]));
        assert_eq!(read.params("twin_of_large"), own(&[("large", x(0), "*Large")]));
    }
}

#[test]
fn fields_lie_where_the_compiler_puts_them() {
    let elf = program("fields");
    let bytes = xtask::types::table(&elf).expect("a table");
    let table = TypeTable::parse(&bytes).expect("a good table");
    let read = Read { table, file: object::File::parse(&*elf).expect("an ELF file") };
    let node = read.function("node").param("node").expect("the parameter");
    let Some(Shape::Pointer { to }) = table.shape(node.ty) else { panic!("{node:?}") };
    let Some(Shape::Record(record)) = table.shape(to) else { panic!("{to:?}") };
    let mut fields: Vec<_> = record.fields().map(|field| (field.name, read.say(field.ty))).collect();
    fields.sort();
    let own = |list: &[(&'static str, &str)]| -> Vec<(&str, String)> {
        list.iter().map(|(name, ty)| (*name, String::from(*ty))).collect()
    };
    assert_eq!(
        fields,
        own(&[
            ("done", "bool"),
            ("inner", "Inner 4"),
            ("kind", "opaque 16"),
            ("name", "text 16 0 8"),
            // An `Option` of a reference is the reference.
            ("next", "*Node"),
            ("shade", "u8"),
            ("words", "u32[4]"),
        ])
    );
    // No two fields lie on each other, and all inside.
    let mut end = 0;
    for field in record.fields() {
        assert!(field.offset >= end, "{field:?}");
        end = field.offset + table.size(field.ty).expect("a size");
    }
    assert!(end <= record.size);
    // The way leads on: a node's next is a node again.
    let next = record.field("next").expect("the field");
    assert!(matches!(table.shape(next.ty), Some(Shape::Pointer { to: again }) if again == to));
}

#[test]
fn a_program_without_debug_information_has_no_functions() {
    let elf = program("stripped");
    // What is read is found by the names of its sections.
    let stripped: Vec<u8> = {
        let mut bytes = elf.clone();
        let name = b".debug_info\0";
        let at = bytes.windows(name.len()).position(|window| window == name).expect("the section's name");
        bytes[at + 1] = b'x';
        bytes
    };
    let bytes = xtask::types::table(&stripped).expect("a table of nothing");
    assert!(TypeTable::parse(&bytes).expect("a good table").is_empty());
    assert!(xtask::types::table(b"no ELF file").is_err());
}
