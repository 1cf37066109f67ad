"""The phase transition of modern Hopfield networks: from one global attractor to one minimum for each pattern.

For equidistant patterns everything is known in closed form (`thresholds`, `branches`); clusters follow from them, and
any other set is examined by the stability test and simulation. Patterns are rows.

All formulas and figures here are derived in this project. Of arXiv 2311.18434, which asks the question, only the
abstract was available, not its formulas or figures.
"""

from .classification import StateClassification as StateClassification
from .classification import StateKind as StateKind
from .classification import classify as classify
from .classification import order_parameter as order_parameter
from .curves import EnergyProfiles as EnergyProfiles
from .curves import Geometry as Geometry
from .curves import ThresholdCurves as ThresholdCurves
from .curves import UnequalDistances as UnequalDistances
from .curves import collapse_data as collapse_data
from .curves import energy_profile_data as energy_profile_data
from .curves import order_parameter_data as order_parameter_data
from .curves import start_fraction_data as start_fraction_data
from .curves import threshold_data as threshold_data
from .curves import unequal_distance_data as unequal_distance_data
from .effective import beta_for_effective as beta_for_effective
from .effective import beta_for_mean_field as beta_for_mean_field
from .effective import effective_beta as effective_beta
from .effective import effective_beta_from_distance as effective_beta_from_distance
from .effective import mean_field_beta as mean_field_beta
from .fixed_points import Branches as Branches
from .fixed_points import beta_at_overlap as beta_at_overlap
from .fixed_points import branches as branches
from .minima import DistinctMinima as DistinctMinima
from .minima import count_minima as count_minima
from .minima import distinct_minima as distinct_minima
from .minima import is_minimum as is_minimum
from .minima import largest_eigenvalue as largest_eigenvalue
from .patterns import cluster_patterns as cluster_patterns
from .patterns import equidistant_patterns as equidistant_patterns
from .simulation import simulate_cluster_thresholds as simulate_cluster_thresholds
from .simulation import simulate_thresholds as simulate_thresholds
from .sweeps import Hysteresis as Hysteresis
from .sweeps import StartFractions as StartFractions
from .sweeps import hysteresis as hysteresis
from .sweeps import hysteresis_reduced as hysteresis_reduced
from .sweeps import random_start_fractions as random_start_fractions
from .transitions import ClusterThresholds as ClusterThresholds
from .transitions import Thresholds as Thresholds
from .transitions import cluster_thresholds as cluster_thresholds
from .transitions import lambert_spinodal as lambert_spinodal
from .transitions import spinodal_beta as spinodal_beta
from .transitions import thresholds as thresholds
