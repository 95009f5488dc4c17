// What calls can be about, by numbers: metrics take their labels from here.

import { View } from '../wire/view';

/** The components that calls can be about. */
export interface Labels {
  /** More than the highest index. */
  mostLabels(): i32;

  labelAt(index: i32): View;
}
