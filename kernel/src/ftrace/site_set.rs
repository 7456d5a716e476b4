//! Sets of functions: a bit for each site, in the order of their addresses.

use alloc::vec;
use alloc::vec::Vec;

use super::sites::{self, Site};

/// A set of sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteSet(Vec<u64>);

impl SiteSet {
    /// No site.
    pub(crate) fn none() -> Self {
        Self(vec![0; sites::count().div_ceil(64)])
    }

    /// Every site.
    pub(crate) fn all() -> Self {
        let mut set = Self(vec![!0; sites::count().div_ceil(64)]);
        if let (Some(last), used @ 1..) = (set.0.last_mut(), sites::count() % 64) {
            *last = (1 << used) - 1;
        }
        set
    }

    /// These sites.
    pub(crate) fn of(sites: impl IntoIterator<Item = Site>) -> Self {
        let mut set = Self::none();
        for site in sites {
            set.insert(site);
        }
        set
    }

    /// Adds a site.
    pub(crate) fn insert(&mut self, site: Site) {
        if let Some((word, bit)) = place(site)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    /// Is the site of this number in it?
    #[inline(always)]
    pub(super) fn contains_nth(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|word| word & 1 << (n % 64) != 0)
    }

    /// Is the site in it?
    pub(crate) fn contains(&self, site: Site) -> bool {
        sites::index(site).is_some_and(|n| self.contains_nth(n))
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The numbers of its sites, in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(64 * at + bit)
            })
        })
    }

    /// Its sites, by address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Site> {
        self.numbers().filter_map(sites::nth)
    }

    /// What is in this set and not in the other.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a & !b)
    }

    /// What is in this set or in the other.
    pub(crate) fn union(&self, other: &Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    fn with(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| op(*a, *b)).collect())
    }
}

fn place(site: Site) -> Option<(usize, u64)> {
    let at = sites::index(site)?;
    Some((at / 64, 1 << (at % 64)))
}
