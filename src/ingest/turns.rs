//! Whose turn it is: which of the jobs that wait is worked on next, so that no workspace waits for the end of another's.
//!
//! A worker goes to the workspace that has the fewest of them, and among those to the one that was not served for the
//! longest time. A job that has had its slice of time gives way where another workspace is worse off than its own.
//! Pure: knows no clock, no thread and no job but by its id.

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

/// Jobs that wait and jobs that are worked on, by workspace.
#[derive(Default)]
pub struct Turns {
    lines: HashMap<Uuid, Line>,
    /// Jobs that were told to give way and are on their way out.
    leaving: HashSet<Uuid>,
    /// Counts what happens, so that earlier and later can be told.
    tick: u64,
}

/// The jobs of one workspace. There is none without a job.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Uuid>,
    running: HashSet<Uuid>,
    /// When a worker came or went last, or else when the line began.
    served: u64,
}

impl Line {
    /// The lower, the sooner a worker comes.
    fn rank(&self) -> (usize, u64) {
        (self.running.len(), self.served)
    }
}

impl Turns {
    /// Puts a job at the end of its workspace's line. One that waits or is worked on already is not there twice.
    pub fn add(&mut self, workspace: Uuid, job: Uuid) {
        let now = self.tick();
        let line = self.lines.entry(workspace).or_insert_with(|| Line { served: now, ..Line::default() });
        if !line.running.contains(&job) && !line.waiting.contains(&job) {
            line.waiting.push_back(job);
        }
    }

    /// Gives the workspace and the job that a worker takes next.
    pub fn take(&mut self) -> Option<(Uuid, Uuid)> {
        let now = self.tick();
        let waiting = self.lines.iter_mut().filter(|(_, line)| !line.waiting.is_empty());
        let (workspace, line) = waiting.min_by_key(|(_, line)| line.rank())?;
        let job = line.waiting.pop_front()?;
        line.running.insert(job);
        line.served = now;
        Some((*workspace, job))
    }

    /// Takes a job away whose worker is free again.
    pub fn end(&mut self, workspace: Uuid, job: Uuid) {
        let now = self.tick();
        self.leaving.remove(&job);
        if let Some(line) = self.lines.get_mut(&workspace) {
            line.running.remove(&job);
            line.served = now;
            if line.running.is_empty() && line.waiting.is_empty() {
                self.lines.remove(&workspace);
            }
        }
    }

    /// Puts a job that is not at its end behind all that wait.
    pub fn give_back(&mut self, workspace: Uuid, job: Uuid) {
        self.end(workspace, job);
        self.add(workspace, job);
    }

    /// Whether a job that has had its slice is to give way: another workspace waits that would be served before its own,
    /// and not enough are on their way out for it. Once it was told to, it is told so until it is out.
    pub fn gives_way(&mut self, workspace: Uuid, job: Uuid) -> bool {
        if self.leaving.contains(&job) {
            return true;
        }
        let Some(own) = self.lines.get(&workspace).map(|line| line.running.len()) else { return false };
        let is_worse_off =
            |other: &Uuid, line: &Line| *other != workspace && !line.waiting.is_empty() && line.running.len() < own;
        let worse_off = self.lines.iter().filter(|(other, line)| is_worse_off(other, line)).count();
        worse_off > self.leaving.len() && self.leaving.insert(job)
    }

    fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_workspace_with_one_job_comes_before_the_second_of_another() {
        let mut turns = Turns::default();
        (1..=3).for_each(|job| turns.add(id(100), id(job)));
        turns.add(id(200), id(4));
        assert_eq!(turns.take(), Some((id(100), id(1))));
        assert_eq!(turns.take(), Some((id(200), id(4))));
        assert_eq!(turns.take(), Some((id(100), id(2))), "alone it has all the workers");
        turns.add(id(100), id(3));
        assert_eq!(turns.take(), Some((id(100), id(3))));
        assert_eq!(turns.take(), None, "a job is in the line once");
    }

    #[test]
    fn as_many_give_way_as_are_needed() {
        let mut turns = Turns::default();
        (1..=3).for_each(|job| turns.add(id(100), id(job)));
        turns.take();
        turns.take();
        assert!(!turns.gives_way(id(100), id(1)), "its own workspace's jobs are no reason");
        turns.add(id(200), id(4));
        assert!(turns.gives_way(id(100), id(1)));
        assert!(turns.gives_way(id(100), id(1)), "it stays so");
        assert!(!turns.gives_way(id(100), id(2)), "one place is enough for one");
        turns.give_back(id(100), id(1));
        assert_eq!(turns.take(), Some((id(200), id(4))));
        turns.add(id(200), id(5));
        assert!(!turns.gives_way(id(100), id(2)), "each of the two has one worker");
        turns.end(id(200), id(4));
        turns.end(id(100), id(2));
        assert_eq!([turns.take(), turns.take()], [Some((id(200), id(5))), Some((id(100), id(3)))]);
        turns.end(id(100), id(3));
        turns.end(id(200), id(5));
        turns.take();
        turns.end(id(100), id(1));
        assert!(turns.lines.is_empty() && turns.leaving.is_empty(), "nothing is kept of what is over");
    }

    proptest! {
        /// Jobs come at random and last for a random number of slices. Whoever waits without a worker is served after at
        /// most one slice of each workspace that was there before, and in the end everybody is done.
        #[test]
        fn no_workspace_starves(
            workers in 1usize..4,
            arrivals in prop::collection::vec((0u128..6, 0u32..5, 0usize..4), 1..60),
        ) {
            let (mut turns, mut left, mut running) = (Turns::default(), HashMap::new(), Vec::new());
            // Workspaces that wait without a worker, with the workspaces that may still come before.
            let mut ahead: HashMap<Uuid, HashSet<Uuid>> = HashMap::new();
            let mut arrivals = arrivals.into_iter().enumerate();
            loop {
                let arrival = arrivals.next();
                if let Some((number, (workspace, slices, _))) = arrival {
                    let (workspace, job) = (id(1000 + workspace), id(number as u128));
                    let others = turns.lines.keys().copied().filter(|other| *other != workspace).collect();
                    let is_idle = turns.lines.get(&workspace).is_none_or(|line| line.running.is_empty());
                    left.insert(job, slices);
                    turns.add(workspace, job);
                    if is_idle {
                        ahead.entry(workspace).or_insert(others);
                    }
                }
                while running.len() < workers && let Some((workspace, job)) = turns.take() {
                    let came_before = turns.lines.iter().filter(|(_, line)| line.running.is_empty());
                    for (idle, _) in came_before.filter(|(_, line)| !line.waiting.is_empty()) {
                        let others = ahead.get_mut(idle).unwrap();
                        prop_assert!(others.remove(&workspace), "one that was served since came first again");
                    }
                    ahead.remove(&workspace);
                    running.push((workspace, job));
                }
                if running.is_empty() && arrival.is_none() {
                    break;
                }
                // One of the workers comes to the end of a slice.
                let pick = arrival.map_or(0, |(_, (_, _, pick))| pick);
                if running.is_empty() {
                    continue;
                }
                let (workspace, job) = running.remove(pick % running.len());
                let slices = left.get_mut(&job).unwrap();
                if *slices == 0 {
                    left.remove(&job);
                    turns.end(workspace, job);
                } else {
                    *slices -= 1;
                    let starving = turns.lines.values().any(|line| line.running.is_empty());
                    let gives_way = turns.gives_way(workspace, job);
                    prop_assert!(gives_way || !starving, "one waits for nothing while another is served");
                    if gives_way {
                        turns.give_back(workspace, job);
                        let line = &turns.lines[&workspace];
                        if line.running.is_empty() {
                            let others = turns.lines.keys().copied().filter(|other| *other != workspace).collect();
                            ahead.insert(workspace, others);
                        }
                    } else {
                        running.insert(0, (workspace, job));
                    }
                }
                // A workspace that has lost its last worker waits from now on.
                let idle = turns.lines.iter().filter(|(_, line)| line.running.is_empty());
                for (workspace, _) in idle {
                    let others = turns.lines.keys().copied().filter(|other| other != workspace).collect();
                    ahead.entry(*workspace).or_insert(others);
                }
            }
            prop_assert!(left.is_empty() && turns.lines.is_empty() && turns.leaving.is_empty());
        }
    }
}
