import { testExample } from './run.js';

testExample('floyo');
