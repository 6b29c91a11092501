import { testExample } from './run.js';

testExample('bakhmach');
