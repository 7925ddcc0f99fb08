/** Options that several commands take. */
import { Option } from 'commander'

export const CONFIGURATION_DEFAULT = '/etc/strongroom/strongroom.yaml'

export function configurationOption(): Option {
  return new Option('-c, --config <FILE>', 'configuration file').env('STRONGROOM_CONFIG').default(CONFIGURATION_DEFAULT)
}

export function outputOption(): Option {
  return new Option('-o, --output <FORM>', 'how to print').choices(['text', 'json']).default('text')
}
