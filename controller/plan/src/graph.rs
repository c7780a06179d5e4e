//! Waves of a graph: what can be done at once, and then, and then (Kahn's algorithm).

/// A node that depends on itself, by way of others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cycle: {}", .path.join(" → "))]
pub struct Cycle {
    /// The way round; the first is also the last.
    pub path: Vec<String>,
}

/// The wave of each node, from 0: one more than the highest wave of what it comes after. `edges[i]` holds the indices
/// that node `i` comes after; `names[i]` is what a cycle calls it.
///
/// # Errors
///
/// A cycle, as its path.
pub fn waves(names: &[&str], edges: &[Vec<usize>]) -> Result<Vec<u32>, Cycle> {
    let mut dependants = vec![Vec::new(); names.len()];
    let mut missing: Vec<usize> = vec![0; names.len()];
    for (node, after) in edges.iter().enumerate() {
        for &dependency in after {
            dependants[dependency].push(node);
            missing[node] += 1;
        }
    }
    let mut wave = vec![0; names.len()];
    let mut ready: Vec<usize> = (0..names.len())
        .filter(|&node| missing[node] == 0)
        .collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        for &dependant in &dependants[node] {
            wave[dependant] = wave[dependant].max(wave[node] + 1);
            missing[dependant] -= 1;
            if missing[dependant] == 0 {
                ready.push(dependant);
            }
        }
    }
    if done == names.len() {
        Ok(wave)
    } else {
        Err(cycle(names, edges, &missing))
    }
}

/// Follows dependencies that are still missing until a node comes up twice.
fn cycle(names: &[&str], edges: &[Vec<usize>], missing: &[usize]) -> Cycle {
    let stuck = |node: &usize| missing[*node] > 0;
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..names.len()).find(stuck);
    while let Some(node) = next {
        if let Some(start) = path.iter().position(|&seen| seen == node) {
            let mut round: Vec<String> = path[start..]
                .iter()
                .chain([&node])
                .map(|&node| names[node].to_owned())
                .collect();
            round.reverse();
            return Cycle { path: round };
        }
        path.push(node);
        next = edges[node].iter().copied().find(stuck);
    }
    Cycle { path: Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::waves;

    #[test]
    fn a_chain_and_a_diamond() {
        assert_eq!(
            waves(&["a", "b", "c"], &[vec![], vec![0], vec![1]]),
            Ok(vec![0, 1, 2])
        );
        let diamond = [vec![], vec![0], vec![0], vec![1, 2], vec![]];
        assert_eq!(
            waves(&["a", "b", "c", "d", "e"], &diamond),
            Ok(vec![0, 1, 1, 2, 0])
        );
    }

    #[test]
    fn a_cycle_is_its_path_in_the_order_of_doing() {
        // x waits for a; a for c, c for b, b for a.
        let edges = [vec![1], vec![3], vec![1], vec![2]];
        let cycle = waves(&["x", "a", "b", "c"], &edges).unwrap_err();
        assert_eq!(cycle.to_string(), "a cycle: a → b → c → a");
        assert_eq!(waves(&["a"], &[vec![0]]).unwrap_err().path, ["a", "a"]);
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1usize..30).prop_flat_map(|nodes| {
            prop::collection::vec(prop::collection::vec(0..nodes, 0..4), nodes)
        })
    }

    proptest! {
        #[test]
        fn waves_respect_every_edge_or_name_a_real_cycle(edges in graphs()) {
            let names: Vec<String> = (0..edges.len()).map(|node| node.to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            match waves(&names, &edges) {
                Ok(wave) => {
                    for (node, after) in edges.iter().enumerate() {
                        let least = after.iter().map(|&before| wave[before] + 1).max();
                        prop_assert_eq!(wave[node], least.unwrap_or(0));
                    }
                }
                Err(cycle) => {
                    prop_assert!(cycle.path.len() >= 2);
                    prop_assert_eq!(cycle.path.first(), cycle.path.last());
                    for pair in cycle.path.windows(2) {
                        let (before, node): (usize, usize) =
                            (pair[0].parse().unwrap(), pair[1].parse().unwrap());
                        prop_assert!(edges[node].contains(&before));
                    }
                }
            }
        }
    }
}
