"""Phase transition of modern Hopfield networks: from one global attractor to one minimum a pattern.

Equidistant patterns are worked out in full (`thresholds`, `branches`); clusters follow from them, and any
other set from the stability test and simulation. Patterns are rows. The formulas are derived here: of
arXiv 2311.18434, which asks the question, only the abstract was available.
"""

from .classifier import Classification as Classification
from .classifier import Kind as Kind
from .classifier import classify as classify
from .clusters import ClusterThresholds as ClusterThresholds
from .clusters import cluster_thresholds as cluster_thresholds
from .curves import EnergyProfiles as EnergyProfiles
from .curves import Geometry as Geometry
from .curves import ThresholdCurves as ThresholdCurves
from .curves import UnequalDistances as UnequalDistances
from .curves import collapse_data as collapse_data
from .curves import energy_profile_data as energy_profile_data
from .curves import order_parameter_data as order_parameter_data
from .curves import start_share_data as start_share_data
from .curves import threshold_data as threshold_data
from .curves import unequal_distance_data as unequal_distance_data
from .dynamics import association as association
from .dynamics import association_entropy as association_entropy
from .dynamics import energy as energy
from .dynamics import hessian as hessian
from .dynamics import jacobian as jacobian
from .dynamics import update as update
from .effective import beta_for_effective as beta_for_effective
from .effective import beta_for_mean_field as beta_for_mean_field
from .effective import effective_beta as effective_beta
from .effective import effective_beta_from_distance as effective_beta_from_distance
from .effective import mean_field_beta as mean_field_beta
from .fixed_points import Branches as Branches
from .fixed_points import beta_at_overlap as beta_at_overlap
from .fixed_points import branches as branches
from .minima import Minima as Minima
from .minima import count_minima as count_minima
from .minima import distinct_minima as distinct_minima
from .patterns import cluster_patterns as cluster_patterns
from .patterns import equidistant_patterns as equidistant_patterns
from .random_starts import Shares as Shares
from .random_starts import random_start_shares as random_start_shares
from .settling import Settled as Settled
from .settling import order_parameter as order_parameter
from .settling import settle as settle
from .simulation import simulate_cluster_thresholds as simulate_cluster_thresholds
from .simulation import simulate_thresholds as simulate_thresholds
from .stability import is_minimum as is_minimum
from .stability import largest_eigenvalue as largest_eigenvalue
from .stability import largest_eigenvalue_matrix_free as largest_eigenvalue_matrix_free
from .sweeps import Hysteresis as Hysteresis
from .sweeps import hysteresis as hysteresis
from .sweeps import hysteresis_reduced as hysteresis_reduced
from .transitions import Thresholds as Thresholds
from .transitions import lambert_spinodal as lambert_spinodal
from .transitions import spinodal_beta as spinodal_beta
from .transitions import thresholds as thresholds
