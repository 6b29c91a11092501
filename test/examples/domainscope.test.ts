import { testExample } from './run.js';

testExample('domainscope');
