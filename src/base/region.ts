/** The names that regions may have: AWS's own pattern, which `on-prem-1` fits. */
export const REGION_NAME = /^(?:[a-z]+-){2,3}\d+$/
export const REGION_NAME_MAX = 32
