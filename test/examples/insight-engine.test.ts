import { testExample } from './run.js';

testExample('insight-engine');
