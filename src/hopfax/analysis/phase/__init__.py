"""Phase transition of modern Hopfield networks: from one global attractor to one minimum a pattern.

Equidistant patterns are worked out in full (`thresholds`, `branches`); clusters follow from them, and any
other set from the stability test and simulation. Patterns are rows. The formulas are derived here: of
arXiv 2311.18434, which asks the question, only the abstract was available.
"""

from hopfax.analysis.phase.classifier import Classification as Classification
from hopfax.analysis.phase.classifier import Kind as Kind
from hopfax.analysis.phase.classifier import classify as classify
from hopfax.analysis.phase.clusters import ClusterThresholds as ClusterThresholds
from hopfax.analysis.phase.clusters import cluster_thresholds as cluster_thresholds
from hopfax.analysis.phase.dynamics import association as association
from hopfax.analysis.phase.dynamics import association_entropy as association_entropy
from hopfax.analysis.phase.dynamics import energy as energy
from hopfax.analysis.phase.dynamics import hessian as hessian
from hopfax.analysis.phase.dynamics import jacobian as jacobian
from hopfax.analysis.phase.dynamics import update as update
from hopfax.analysis.phase.effective import beta_for_effective as beta_for_effective
from hopfax.analysis.phase.effective import beta_for_mean_field as beta_for_mean_field
from hopfax.analysis.phase.effective import effective_beta as effective_beta
from hopfax.analysis.phase.effective import effective_beta_from_distance as effective_beta_from_distance
from hopfax.analysis.phase.effective import mean_field_beta as mean_field_beta
from hopfax.analysis.phase.figures import EnergyProfiles as EnergyProfiles
from hopfax.analysis.phase.figures import Geometry as Geometry
from hopfax.analysis.phase.figures import ThresholdCurves as ThresholdCurves
from hopfax.analysis.phase.figures import UnequalDistances as UnequalDistances
from hopfax.analysis.phase.figures import collapse_data as collapse_data
from hopfax.analysis.phase.figures import energy_profile_data as energy_profile_data
from hopfax.analysis.phase.figures import order_parameter_data as order_parameter_data
from hopfax.analysis.phase.figures import start_share_data as start_share_data
from hopfax.analysis.phase.figures import threshold_data as threshold_data
from hopfax.analysis.phase.figures import unequal_distance_data as unequal_distance_data
from hopfax.analysis.phase.fixed_points import Branches as Branches
from hopfax.analysis.phase.fixed_points import beta_at_overlap as beta_at_overlap
from hopfax.analysis.phase.fixed_points import branches as branches
from hopfax.analysis.phase.minima import Minima as Minima
from hopfax.analysis.phase.minima import count_minima as count_minima
from hopfax.analysis.phase.minima import distinct_minima as distinct_minima
from hopfax.analysis.phase.patterns import cluster_patterns as cluster_patterns
from hopfax.analysis.phase.patterns import equidistant_patterns as equidistant_patterns
from hopfax.analysis.phase.random_starts import Shares as Shares
from hopfax.analysis.phase.random_starts import random_start_shares as random_start_shares
from hopfax.analysis.phase.settling import Settled as Settled
from hopfax.analysis.phase.settling import order_parameter as order_parameter
from hopfax.analysis.phase.settling import settle as settle
from hopfax.analysis.phase.simulation import simulate_cluster_thresholds as simulate_cluster_thresholds
from hopfax.analysis.phase.simulation import simulate_thresholds as simulate_thresholds
from hopfax.analysis.phase.stability import is_minimum as is_minimum
from hopfax.analysis.phase.stability import largest_eigenvalue as largest_eigenvalue
from hopfax.analysis.phase.stability import (
    largest_eigenvalue_matrix_free as largest_eigenvalue_matrix_free,
)
from hopfax.analysis.phase.sweeps import Hysteresis as Hysteresis
from hopfax.analysis.phase.sweeps import hysteresis as hysteresis
from hopfax.analysis.phase.sweeps import hysteresis_reduced as hysteresis_reduced
from hopfax.analysis.phase.transitions import Thresholds as Thresholds
from hopfax.analysis.phase.transitions import critical_beta as critical_beta
from hopfax.analysis.phase.transitions import lambert_spinodal as lambert_spinodal
from hopfax.analysis.phase.transitions import thresholds as thresholds
