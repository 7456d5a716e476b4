//! Cryptographic instructions.

use super::super::op::Op::{F, Imm, LaneMsm3, Vec};
use super::super::op::field::{A, D, M, N};
use super::super::operand::FpSize::{Q as Quad, S as Single};
use super::super::operand::{Arrangement, FpSize};
use super::super::{Row, Section, row, section};

const B16: Arrangement = Arrangement { lanes: 16, size: FpSize::B };
const S4: Arrangement = Arrangement { lanes: 4, size: FpSize::S };
const D2: Arrangement = Arrangement { lanes: 2, size: FpSize::D };

/// A hash step on two scalars and a vector.
const fn hash(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[F(Quad, D), F(Quad, N), Vec(S4, M)])
}

/// Three vectors of words.
const fn words(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vec(S4, D), Vec(S4, N), Vec(S4, M)])
}

/// A step of SM3 with an element.
const fn sm3(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vec(S4, D), Vec(S4, N), LaneMsm3])
}

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Cryptographic AES",
        "01001110 00 10100 xxxxx 10 xxxxx xxxxx",
        &[
            row("01001110 00 10100 00100 10 nnnnn ddddd", "aese", &[Vec(B16, D), Vec(B16, N)]),
            row("01001110 00 10100 00101 10 nnnnn ddddd", "aesd", &[Vec(B16, D), Vec(B16, N)]),
            row("01001110 00 10100 00110 10 nnnnn ddddd", "aesmc", &[Vec(B16, D), Vec(B16, N)]),
            row("01001110 00 10100 00111 10 nnnnn ddddd", "aesimc", &[Vec(B16, D), Vec(B16, N)]),
        ],
    ),
    section(
        "Cryptographic three-register SHA",
        "01011110 00 0 xxxxx 0 xxx 00 xxxxx xxxxx",
        &[
            row("01011110 00 0 mmmmm 0 000 00 nnnnn ddddd", "sha1c", &[F(Quad, D), F(Single, N), Vec(S4, M)]),
            row("01011110 00 0 mmmmm 0 001 00 nnnnn ddddd", "sha1p", &[F(Quad, D), F(Single, N), Vec(S4, M)]),
            row("01011110 00 0 mmmmm 0 010 00 nnnnn ddddd", "sha1m", &[F(Quad, D), F(Single, N), Vec(S4, M)]),
            words("01011110 00 0 mmmmm 0 011 00 nnnnn ddddd", "sha1su0"),
            hash("01011110 00 0 mmmmm 0 100 00 nnnnn ddddd", "sha256h"),
            hash("01011110 00 0 mmmmm 0 101 00 nnnnn ddddd", "sha256h2"),
            words("01011110 00 0 mmmmm 0 110 00 nnnnn ddddd", "sha256su1"),
        ],
    ),
    section(
        "Cryptographic two-register SHA",
        "01011110 00 10100 xxxxx 10 xxxxx xxxxx",
        &[
            row("01011110 00 10100 00000 10 nnnnn ddddd", "sha1h", &[F(Single, D), F(Single, N)]),
            row("01011110 00 10100 00001 10 nnnnn ddddd", "sha1su1", &[Vec(S4, D), Vec(S4, N)]),
            row("01011110 00 10100 00010 10 nnnnn ddddd", "sha256su0", &[Vec(S4, D), Vec(S4, N)]),
        ],
    ),
    section(
        "Cryptographic four-register",
        "11001110 0 xx xxxxx 0 xxxxx xxxxx xxxxx",
        &[
            row(
                "11001110 0 00 mmmmm 0 aaaaa nnnnn ddddd",
                "eor3",
                &[Vec(B16, D), Vec(B16, N), Vec(B16, M), Vec(B16, A)],
            ),
            row(
                "11001110 0 01 mmmmm 0 aaaaa nnnnn ddddd",
                "bcax",
                &[Vec(B16, D), Vec(B16, N), Vec(B16, M), Vec(B16, A)],
            ),
            row(
                "11001110 0 10 mmmmm 0 aaaaa nnnnn ddddd",
                "sm3ss1",
                &[Vec(S4, D), Vec(S4, N), Vec(S4, M), Vec(S4, A)],
            ),
        ],
    ),
    section(
        "XAR",
        "11001110 100 xxxxx xxxxxx xxxxx xxxxx",
        &[row(
            "11001110 100 mmmmm iiiiii nnnnn ddddd",
            "xar",
            &[Vec(D2, D), Vec(D2, N), Vec(D2, M), Imm(10, 6)],
        )],
    ),
    section(
        "Cryptographic three-register, imm2",
        "11001110 010 xxxxx 10 xx xx xxxxx xxxxx",
        &[
            sm3("11001110 010 mmmmm 10 ii 00 nnnnn ddddd", "sm3tt1a"),
            sm3("11001110 010 mmmmm 10 ii 01 nnnnn ddddd", "sm3tt1b"),
            sm3("11001110 010 mmmmm 10 ii 10 nnnnn ddddd", "sm3tt2a"),
            sm3("11001110 010 mmmmm 10 ii 11 nnnnn ddddd", "sm3tt2b"),
        ],
    ),
    section(
        "Cryptographic three-register SHA 512",
        "11001110 011 xxxxx 1 x 00 xx xxxxx xxxxx",
        &[
            row("11001110 011 mmmmm 1 0 00 00 nnnnn ddddd", "sha512h", &[F(Quad, D), F(Quad, N), Vec(D2, M)]),
            row(
                "11001110 011 mmmmm 1 0 00 01 nnnnn ddddd",
                "sha512h2",
                &[F(Quad, D), F(Quad, N), Vec(D2, M)],
            ),
            row(
                "11001110 011 mmmmm 1 0 00 10 nnnnn ddddd",
                "sha512su1",
                &[Vec(D2, D), Vec(D2, N), Vec(D2, M)],
            ),
            row("11001110 011 mmmmm 1 0 00 11 nnnnn ddddd", "rax1", &[Vec(D2, D), Vec(D2, N), Vec(D2, M)]),
            words("11001110 011 mmmmm 1 1 00 00 nnnnn ddddd", "sm3partw1"),
            words("11001110 011 mmmmm 1 1 00 01 nnnnn ddddd", "sm3partw2"),
            words("11001110 011 mmmmm 1 1 00 10 nnnnn ddddd", "sm4ekey"),
        ],
    ),
    section(
        "Cryptographic two-register SHA 512",
        "11001110 110 00000 1000 xx xxxxx xxxxx",
        &[
            row("11001110 110 00000 1000 00 nnnnn ddddd", "sha512su0", &[Vec(D2, D), Vec(D2, N)]),
            row("11001110 110 00000 1000 01 nnnnn ddddd", "sm4e", &[Vec(S4, D), Vec(S4, N)]),
        ],
    ),
];
