/** The names that regions may have: AWS's own pattern, which `on-prem-1` fits. */
export const REGION_NAME = /^(?:[a-z]+-){2,3}\d+$/
export const REGION_NAME_MAX = 32

/**
 * The name of the domain that regions share, where a region's stands: of its row, its ceremonies, and the EKT records of
 * multi-Region keys. No region can have it.
 */
export const MULTI_REGION_DOMAIN = 'multi-region'
